"""The clip record: coded frames come back, one by one, and nonsense is refused."""

import numpy as np
import pytest

from data_pipeline.corpora.prepared import parts
from data_pipeline.records import clip_features, decode_frames, encode_frame, make_record, part_of_record
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


def test_the_rest_of_the_record():
  audio = np.int16(3000 * np.sin(np.arange(1280) / 5))
  boxes = np.array([[1.4, 2.6, 50.5, 60.0], [1.6, 2.4, 51.5, 61.0]])
  record = make_record('a-0', 'a', _jpegs(2), audio, boxes, note=7)
  np.testing.assert_array_equal(record['mel'], melspectrogram(levelled(audio / np.float32(32768))))
  np.testing.assert_array_equal(record['box'], [[1, 3, 50, 60], [2, 2, 52, 61]])
  assert record['box'].dtype == np.int32 and record['note'] == 7
  assert set(record) == set(clip_features(note=np.int32))


def test_nonsense_is_refused():
  frames, audio = _jpegs(2), np.zeros(1280, np.int16)
  with pytest.raises(ValueError, match='boxes'):
    make_record('a-0', 'a', frames, audio, np.zeros((3, 4)))
  with pytest.raises(ValueError, match='boxes'):
    make_record('a-0', 'a', [], audio, np.zeros((0, 4)))
  with pytest.raises(ValueError, match='int16'):
    make_record('a-0', 'a', frames, audio.astype(np.float32), np.zeros((2, 4)))


def numbered_record(frames):
  """Each frame, sample, mel row and box of it tells its place."""
  places = np.arange(640 * frames)
  record = make_record('a', 's', [b'%d' % k for k in range(frames)], np.int16(places % 30011), np.zeros((frames, 4)))
  rows = np.arange(len(record['mel']))
  return record | {
    'mel': np.repeat(rows[:, None], 80, 1).astype(np.float32),
    'phones': (rows % 100).astype(np.int8),
    'box': np.repeat(np.arange(frames)[:, None], 4, 1),
  }


def assert_part(part, whole, first, last):
  assert part['frames'] == whole['frames'][first:last]
  np.testing.assert_array_equal(part['box'], whole['box'][first:last])
  np.testing.assert_array_equal(part['audio'], whole['audio'][640 * first : 640 * last])  # 16 kHz, 25 frames a second
  row = first * 16 // 5
  assert len(part['mel']) == 1 + len(part['audio']) // 200  # as in any record
  for name in ('mel', 'phones'):
    np.testing.assert_array_equal(part[name], whole[name][row : row + len(part['mel'])], err_msg=name)


def test_a_part_of_a_record_has_its_own_pictures_and_sound():
  whole = numbered_record(40)
  for first, last in (0, 15), (5, 20), (15, 40):
    assert_part(part_of_record(whole, first, last, 'b'), whole, first, last)
  with pytest.raises(ValueError, match='multiple of 5'):
    part_of_record(whole, 4, 20, 'b')


def test_long_records_are_stored_in_parts_that_make_up_the_whole():
  whole = numbered_record(252)
  found, first = list(parts(whole)), 0
  assert len(found) == 3
  for part in found:
    last = first + len(part['frames'])
    assert part['id'] == f'a+{first}' and 80 <= len(part['frames']) <= 100
    assert_part(part, whole, first, last)
    first = last
  assert first == 252
  assert [part['id'] for part in parts(numbered_record(100))] == ['a']
