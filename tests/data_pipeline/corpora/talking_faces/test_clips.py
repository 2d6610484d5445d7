"""Clips: their speakers, their crops, and the mouth in step with its stored opening."""

import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.clips import SPLITS, clip_record, draw_clip, draw_speaker
from data_pipeline.records import decode_frames


def test_splits_and_seeds_never_share_a_speaker():
  people = [draw_speaker(seed, split, number) for seed in (0, 1) for split in SPLITS for number in range(8)]
  assert len({person.name for person in people}) == len(people)
  assert len({person.appearance for person in people}) == len(people)
  assert len({person.voice for person in people}) == len(people)


def test_one_speaker_has_one_face_and_many_clips():
  first, second = (draw_clip(0, 'train', 5, clip, seconds=0.4) for clip in range(2))
  assert first.speaker == second.speaker
  assert not np.array_equal(first.audio, second.audio)


def test_the_same_seed_gives_the_same_record():
  one, two = (clip_record(3, 'val', 1, 0, seconds=0.4, image_size=32) for _ in range(2))
  assert one.keys() == two.keys()
  for name in one:
    np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_the_mouth_opens_when_and_where_its_record_says():
  """Darkness between the lips must follow the stored opening, best without any shift."""
  record = clip_record(1, 'test', 2, 0, seconds=3.0, image_size=64)
  frames = decode_frames(record['frames'], range(75)).astype(float)
  mouth = frames[:, 40:60, 26:38].mean(-1)
  darkness = np.clip(0.6 - mouth / np.median(frames[:, 20:36]), 0, None).mean((1, 2))
  fit = {shift: np.corrcoef(np.roll(record['mouth_opening'], shift), darkness)[0, 1] for shift in range(-4, 5)}
  assert max(fit, key=fit.get) == 0
  assert fit[0] > 0.75


def test_crops_are_the_boxes_cut_from_the_scene():
  clip = draw_clip(2, 'test', 0, 0, seconds=0.2)
  scene, crop = next(clip.scene()), next(clip.crops(64))
  left, top, right, bottom = np.rint(clip.boxes[0]).astype(int)
  resized = cv2.resize(scene[top:bottom, left:right], (64, 64), interpolation=cv2.INTER_AREA)
  assert np.abs(resized.astype(float) - crop).mean() < 4
