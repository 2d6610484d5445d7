"""The end of a video is cut for the preview with its sound, frame for frame as dubbing sees it."""

from fractions import Fraction

import numpy as np
import pytest
from videos import write_mp4

from lpips_jax.media import speech, video_reader
from lpips_jax.personalising import preview


def test_the_end_of_a_video_keeps_picture_and_sound_together(tmp_path):
  """Every frame has its own level, and so has every 25th of a second of sound."""
  frames = [np.full((32, 48, 3), 40 + 2 * k, np.uint8) for k in range(60)]
  samples = np.repeat(np.arange(60) / 100, 640) * np.tile([1, -1], 30 * 640)
  path = write_mp4(tmp_path / 'v.mp4', frames, samples)
  preview.cut_end(path, 0.8, tmp_path / 'end.mp4')
  seen = np.array([frame.mean() for frame in video_reader.read_frames(tmp_path / 'end.mp4')])
  np.testing.assert_allclose(seen, [40 + 2 * k for k in range(40, 60)], atol=1.5)
  assert video_reader.probe(tmp_path / 'end.mp4').rate == Fraction(25)
  assert len(speech.load_speech(tmp_path / 'end.mp4')) == pytest.approx(20 * 640, abs=64)


def test_the_end_of_a_video_with_a_still_picture_has_as_many_frames_as_its_dub(tmp_path):
  frames = [np.full((32, 48, 3), 40 + 10 * k, np.uint8) for k in range(6)]
  path = write_mp4(tmp_path / 'v.mp4', frames, np.zeros(16000), times=[0, 1, 2, 20, 21, 22])
  preview.cut_end(path, 0.8, tmp_path / 'end.mp4')
  seen = np.array([frame.mean() for frame in video_reader.read_frames(tmp_path / 'end.mp4')])
  np.testing.assert_allclose(seen, [60] * 17 + [70, 80, 90], atol=1.5)


def test_boxes_stay_where_a_face_was_last_seen(tmp_path):
  (tmp_path / 'boxes.json').write_text('[[], [[0, 0, 100, 50]], [], [[10, 0, 110, 50]]]')
  boxes = preview._crop_boxes(tmp_path / 'boxes.json')
  lefts = [next(boxes)[0] for _ in range(6)]
  np.testing.assert_allclose(lefts, [-12, -12, -12, -2, -2, -2])  # a margin of 12%


def test_videos_from_another_source_are_removed(tmp_path):
  video, record = tmp_path / 'before.mp4', tmp_path / 'made_of.json'
  for sources, kept in ((['a', 1], False), (['a', 1], True), (['b', 1], False)):
    video.touch()
    preview._remove_if_from_others([video], record, sources)
    assert video.exists() == kept
