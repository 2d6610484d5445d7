"""The sync filter: shifted sound is realigned, and records that no shift brings in sync are rejected."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from data_pipeline.preparation.store import ClipResult
from data_pipeline.preparation.sync_filter import (
  SyncFilterSettings,
  filter_by_sync,
  make_sync_filter,
  realigned,
)
from data_pipeline.records import Word, encode_frame, make_record
from lpips_jax.core.constants import MEL_MAX


class ByBrightness:
  """A sync expert that compares the brightness of five frames with the loudness of their speech."""

  config = ConfigDict({'model': {'image_size': 32}, 'data': {'level': 'normalised'}})

  def __call__(self, frames, mels):
    seen = frames.mean((2, 3, 4)) - 0.5
    heard = np.stack([mels[:, :, (16 * k + 8) // 5] for k in range(5)], 1).mean(-1) / (2 * MEL_MAX)
    return tuple(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6) for x in (seen, heard))


def made_up(shift):
  """A record whose sound is as loud as its frames are bright, `shift` frames ahead of them."""
  levels = np.random.default_rng(2).integers(0, 2, 60)
  frames = [np.full((32, 32, 3), 40 + 180 * level, np.uint8) for level in levels]
  loud = np.roll(levels, -shift).repeat(640) * 8000
  audio = (loud * np.random.default_rng(3).standard_normal(len(loud))).clip(-30000, 30000).astype(np.int16)
  return make_record('a/0', 'a', [encode_frame(frame) for frame in frames], audio, np.zeros((60, 4)))


@pytest.mark.parametrize('shift', [-4, 0, 3])
def test_shifted_sound_is_realigned(shift):
  settings = SyncFilterSettings(max_offset=5, min_confidence=0.1, min_frames=15)
  filtered = filter_by_sync(ClipResult('a', [made_up(shift)], [{'face': 32.0}]), ByBrightness(), settings)
  [record], [note] = filtered.records, filtered.notes
  assert note['offset'] == shift and note['confidence'] > 0.1
  assert len(record['frames']) == 60 - abs(shift) and len(record['audio']) == 640 * len(record['frames'])
  again = filter_by_sync(filtered, ByBrightness(), settings)
  assert again.notes[0]['offset'] == 0


def test_records_that_no_shift_brings_in_sync_are_rejected():
  records = [made_up(8), made_up(0) | {'mel': np.zeros((193, 80), np.float32)}]
  settings = SyncFilterSettings(max_offset=5, min_confidence=0.1, min_frames=15)
  filtered = filter_by_sync(ClipResult('a', records, [{'face': 32.0}] * 2), ByBrightness(), settings)
  assert filtered.records == []
  (_, far), (_, vague) = filtered.rejected
  assert far == 'sound and picture are 8 frames apart' and 'do not agree' in vague


def test_words_move_with_their_sound():
  words = [Word('a', 0.0, 0.1), Word('b', 1.0, 1.2)]
  record = made_up(0) | {'text': 'a b', 'words': words}
  ahead, late = realigned(record, 2), realigned(record, -2)
  assert ahead['words'] == words  # the picture is cut at its beginning
  assert [word.text for word in late['words']] == ['b'] and late['words'][0].start == pytest.approx(0.92)
  assert late['text'] == ahead['text'] == 'a b'


def test_realigning_moves_sound_and_cuts_ends_off():
  record = made_up(0)
  ahead, late = realigned(record, 2), realigned(record, -2)
  assert ahead['frames'] == record['frames'][2:] and late['frames'] == record['frames'][:-2]
  np.testing.assert_array_equal(ahead['audio'], record['audio'][: 58 * 640])
  np.testing.assert_array_equal(late['audio'], record['audio'][2 * 640 :])


def test_without_an_expert_nothing_is_filtered():
  keep_all = make_sync_filter('', SyncFilterSettings(max_offset=0, min_confidence=1.0, min_frames=99))
  result = ClipResult('a', [made_up(8)], [{'face': 32.0}])
  assert keep_all(result) is result
