"""Synthetic misalignment of sound and picture."""

import numpy as np

from data_pipeline.misaligned import Misaligned, shift_of
from lpips_jax.audio.loudness import mel_of
from lpips_jax.core.constants import SAMPLES_PER_FRAME


def records(count):
  rng = np.random.default_rng(0)
  for i in range(count):
    audio = (3000 * rng.standard_normal(16_000)).astype(np.int16)
    yield {'id': f'clip{i}'.encode(), 'audio': audio, 'mel': mel_of(audio), 'phones': np.arange(81, dtype=np.int8)}


def test_the_share_asked_for_is_shifted_by_one_to_four_frames_either_way():
  shifts = np.array([shift_of(f'clip{i}', 0.5) for i in range(2000)])
  assert abs(np.mean(shifts != 0) - 0.5) < 0.03
  assert set(shifts) == {-4, -3, -2, -1, 0, 1, 2, 3, 4}
  assert not any(shift_of(f'clip{i}', 0.0) for i in range(100))


def test_sound_is_ahead_by_the_shift_and_the_mel_is_that_of_the_sound():
  source = list(records(20))
  shifted = Misaligned(source, 1.0)
  assert len(shifted) == 20
  for before, after in zip(source, shifted, strict=False):
    frames = shift_of(before['id'].decode(), 1.0)
    k = 10 * SAMPLES_PER_FRAME
    np.testing.assert_array_equal(
      after['audio'][k : k + 640], before['audio'][k + frames * SAMPLES_PER_FRAME :][:SAMPLES_PER_FRAME]
    )
    np.testing.assert_array_equal(after['mel'], mel_of(after['audio']))


def test_sounds_move_with_the_sound_and_keep_their_lengths():
  steps = np.repeat(np.arange(6), [20, 40, 30, 50, 7, 53])  # of 5 ms, in 1 s
  said = {'sounds': list('abcdef'), 'sound_ends': np.array([20, 60, 90, 140, 147, 200], np.int32)}
  for before in records(20):
    shift = shift_of(before['id'].decode(), 1.0)
    [after] = Misaligned([before | said], 1.0)
    assert after['sound_ends'].dtype == np.int32
    lengths = np.diff(after['sound_ends'], prepend=0)
    assert (lengths > 0).all()
    spoken = np.repeat(['abcdef'.index(name) for name in after['sounds']], lengths)
    np.testing.assert_array_equal(spoken, np.roll(steps, -8 * shift))
