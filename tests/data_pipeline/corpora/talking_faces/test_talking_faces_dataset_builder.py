"""The embedded corpus: who is drawn, how it looks, and what is stored."""

import itertools
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import SPLITS, clip_record, draw_clip, draw_speaker
from data_pipeline.corpora.talking_faces.talking_faces_dataset_builder import (
  TINY,
  Builder,
  _in_parallel,
  fresh_test_config,
)
from data_pipeline.records import decode_frames
from lpips_jax.audio.loudness import mel_of
from lpips_jax.core.constants import FRAME_RATE

N_FACES = 24


@pytest.fixture(scope='module')
def scenes():
  """A frame each of many speakers, and the boxes that the corpus believes a detector would give."""
  clips = [draw_clip(8, 'test', number, 0, seconds=0.2) for number in range(N_FACES)]
  return [(next(clip.scene()), clip.boxes[0]) for clip in clips]


def test_splits_and_seeds_never_share_a_speaker():
  people = [draw_speaker(seed, split, number) for seed in (0, 1) for split in SPLITS for number in range(8)]
  assert len({person.name for person in people}) == len(people)
  assert len({person.appearance for person in people}) == len(people)
  assert len({person.voice for person in people}) == len(people)


def test_one_speaker_has_one_face_and_many_clips():
  first, second = (draw_clip(0, 'train', 5, clip, seconds=0.4) for clip in range(2))
  assert first.speaker == second.speaker
  assert not np.array_equal(first.audio, second.audio)


def test_same_numbers_same_record():
  one, two = (clip_record(3, 'val', 1, 0, seconds=0.4, image_size=32) for _ in range(2))
  assert one.keys() == two.keys()
  for name in one:
    np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_the_mouth_is_where_its_opening_says_at_the_time_it_says():
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


def test_the_cascade_finds_the_faces(scenes):
  cascade = cv2.CascadeClassifier(cv2.data.haarcascades + 'haarcascade_frontalface_default.xml')
  found = 0
  for frame, box in scenes:
    faces = cascade.detectMultiScale(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 1.1, 4, minSize=(60, 60))
    middle = (box[:2] + box[2:]) / 2
    found += any(x < middle[0] < x + w and y < middle[1] < y + h for x, y, w, h in faces)
  assert found >= 0.95 * len(scenes)


@pytest.mark.skipif('LIPSYNC_YUNET' not in os.environ, reason="LIPSYNC_YUNET does not name YuNet's file")
def test_yunet_finds_the_faces_where_the_corpus_cuts_them(scenes):
  height, width = scenes[0][0].shape[:2]
  detector = cv2.FaceDetectorYN.create(os.environ['LIPSYNC_YUNET'], '', (width, height), score_threshold=0.6)
  overlaps = []
  for frame, box in scenes:
    _, faces = detector.detect(np.ascontiguousarray(frame[..., ::-1]))
    assert faces is not None
    left, top, width, height = faces[np.argmax(faces[:, -1]), :4]
    overlaps.append(_overlap(box, (left, top, left + width, top + height)))
  assert np.mean(overlaps) > 0.88


def test_builds_and_reads_without_tensorflow(tmp_path):
  builder = Builder(config='tiny', data_dir=tmp_path, file_format='array_record')
  builder.download_and_prepare()
  assert 'tensorflow' not in sys.modules
  for split in SPLITS:
    source = builder.as_data_source(split)
    assert len(source) == TINY.speakers[split] * TINY.clips[split]
  numbers = list(itertools.product(range(TINY.speakers['train']), range(TINY.clips['train'])))
  source = builder.as_data_source('train')
  for stored, (speaker, clip) in zip([source[i] for i in range(len(source))], numbers, strict=True):
    drawn = clip_record(TINY.seed, 'train', speaker, clip, TINY.seconds, TINY.image_size)
    assert stored['id'].decode() == drawn['id'] and stored['speaker'].decode() == drawn['speaker']
    assert list(stored['frames']) == drawn['frames']
    for name in ('audio', 'mel', 'box', 'mouth_opening'):
      np.testing.assert_array_equal(stored[name], drawn[name], err_msg=name)
      assert stored[name].dtype == drawn[name].dtype
  n_frames = round(TINY.seconds * FRAME_RATE)
  assert stored['box'].shape == (n_frames, 4) and len(stored['mouth_opening']) == n_frames == len(stored['frames'])
  assert len(stored['audio']) == 640 * n_frames
  np.testing.assert_allclose(stored['mel'], mel_of(stored['audio']), atol=1e-6)


def test_processes_give_the_same_records_in_the_same_order():
  jobs = [(0, 'val', speaker, 0, 0.2, 32) for speaker in range(6)]
  for made, job in zip(_in_parallel(jobs), jobs, strict=True):
    alone = clip_record(*job)
    assert made['id'] == alone['id'] and made['frames'] == alone['frames']


def test_a_fresh_test_split_has_new_speakers_and_its_own_place(tmp_path):
  config = fresh_test_config(TINY, seed=11)
  builder = Builder(config=config, data_dir=tmp_path, file_format='array_record')
  builder.download_and_prepare()
  assert list(builder.info.splits) == ['test']
  assert '11' in builder.info.full_name
  speakers = {record['speaker'].decode() for record in builder.as_data_source('test')}
  assert speakers == {draw_speaker(11, 'test', number).name for number in range(TINY.speakers['test'])}


def test_the_sample_command_writes_a_video_and_speech(tmp_path):
  output = tmp_path / 'new' / 'folder'
  options = f'--output={output}', '--seconds=0.4', '--size=128', '--speakers=1'
  subprocess.run([sys.executable, '-m', 'data_pipeline.corpora.talking_faces.sample', *options], check=True)
  assert sorted(path.name for path in output.iterdir()) == ['face.mp4', 'faces.png', 'speech.wav']
  video = cv2.VideoCapture(str(output / 'face.mp4'))
  assert video.get(cv2.CAP_PROP_FPS) == 25
  shapes = [frame.shape for found, frame in iter(video.read, (False, None)) if found]
  assert shapes == [(128, 128, 3)] * 10


def _overlap(one, two):
  one, two = np.asarray(one), np.asarray(two)
  shared = np.prod(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]))
  return shared / (np.prod(one[2:] - one[:2]) + np.prod(two[2:] - two[:2]) - shared)
