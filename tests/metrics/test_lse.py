"""LSE with features that are known: the windows that SyncNet gets, and the shift that is found."""

import numpy as np
import pytest

from lpips_jax.metrics.lse import lse
from lpips_jax.metrics.mfcc import mfcc

RNG = np.random.default_rng(0)


def tagged(count):
  """Frames that say which they are."""
  return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 3))


@pytest.mark.parametrize('shift', [-3, 0, 2, 8])
def test_a_known_shift_is_found(shift):
  directions = RNG.standard_normal((200, 16))

  def syncnet(frames, mfccs):
    first = frames[:, 0, 0, 0, 0].astype(int)
    return directions[first + 50], directions[np.arange(len(mfccs)) + 50 + shift]

  assert lse(syncnet, tagged(60), np.zeros(60 * 640, np.int16)).offset == shift


def test_windows_start_with_their_frames():
  samples = (3000 * RNG.standard_normal(20 * 640)).astype(np.int16)
  seen = {}

  def syncnet(frames, mfccs):
    seen.update(frames=frames, mfccs=mfccs)
    return np.ones((len(frames), 2)), np.ones((len(mfccs), 2))

  lse(syncnet, tagged(40), samples)
  assert seen['frames'].shape == (15, 5, 2, 2, 3) and seen['mfccs'].shape == (15, 13, 20)
  np.testing.assert_array_equal(seen['frames'][3, :, 0, 0, 0], [3, 4, 5, 6, 7])
  np.testing.assert_allclose(seen['mfccs'][3], mfcc(samples)[12:32].T, rtol=1e-5)


def test_too_short():
  with pytest.raises(ValueError, match='too short'):
    lse(lambda *windows: windows, tagged(5), np.zeros(16_000, np.int16))
