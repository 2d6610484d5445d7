"""The clip record: frames are decoded one by one, parts keep their mel, and bad input raises."""

import numpy as np
import pytest
from numbered_records import assert_part, numbered_record

from data_pipeline.records import decode_frames, encode_frame, make_record, part_of_record, record_features
from lpips_jax.audio.loudness import levelled
from lpips_jax.audio.mel import melspectrogram


def _smooth_frames(n, size=48):
  rows, columns = np.mgrid[:size, :size] / size
  return [np.uint8(np.stack([200 * rows, 200 * columns, 255 * k / n + 0 * rows], -1)) for k in range(n)]


def _jpegs(n):
  return [encode_frame(frame) for frame in _smooth_frames(n)]


def test_frames_come_back_in_any_order():
  frames = _smooth_frames(4)
  record = make_record('a-0', 'a', _jpegs(4), np.zeros(2560, np.int16), np.zeros((4, 4)))
  decoded = decode_frames(record['frames'], [2, 0, 2])
  assert decoded.shape == (3, 48, 48, 3) and decoded.dtype == np.uint8
  for index, frame in zip([2, 0, 2], decoded, strict=True):
    assert np.abs(frame.astype(int) - frames[index]).max() <= 6  # red stays red: the order of channels is kept


def test_only_the_frames_asked_for_are_decoded():
  record = make_record('a-0', 'a', _jpegs(2), np.zeros(1280, np.int16), np.zeros((2, 4)))
  damaged = [record['frames'][0], b'not a JPEG']
  assert decode_frames(damaged, [0]).shape == (1, 48, 48, 3)
  with pytest.raises(ValueError, match='not a JPEG'):
    decode_frames(damaged, [1])


def test_the_other_features_of_the_record():
  audio = np.int16(3000 * np.sin(np.arange(1280) / 5))
  boxes = np.array([[1.4, 2.6, 50.5, 60.0], [1.6, 2.4, 51.5, 61.0]])
  record = make_record('a-0', 'a', _jpegs(2), audio, boxes, note=7)
  np.testing.assert_array_equal(record['mel'], melspectrogram(levelled(audio / np.float32(32768))))
  np.testing.assert_array_equal(record['box'], [[1, 3, 50, 60], [2, 2, 52, 61]])
  assert record['box'].dtype == np.int32 and record['note'] == 7
  assert set(record) == set(record_features(note=np.int32))


def test_bad_input_raises():
  frames, audio = _jpegs(2), np.zeros(1280, np.int16)
  with pytest.raises(ValueError, match='boxes'):
    make_record('a-0', 'a', frames, audio, np.zeros((3, 4)))
  with pytest.raises(ValueError, match='boxes'):
    make_record('a-0', 'a', [], audio, np.zeros((0, 4)))
  with pytest.raises(ValueError, match='int16'):
    make_record('a-0', 'a', frames, audio.astype(np.float32), np.zeros((2, 4)))


def test_a_part_of_a_record_has_its_own_pictures_and_sound():
  whole = numbered_record(40)
  for first, last in (0, 15), (5, 20), (15, 40):
    assert_part(part_of_record(whole, first, last, 'b'), whole, first, last)
  with pytest.raises(ValueError, match='multiple of 5'):
    part_of_record(whole, 4, 20, 'b')
