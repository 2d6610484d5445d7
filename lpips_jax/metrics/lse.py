"""LSE-D, LSE-C and offset by SyncNet, for numbers that compare with those that papers publish."""

from collections.abc import Callable

import numpy as np

from lpips_jax.core.constants import SAMPLES_A_FRAME
from lpips_jax.metrics.mfcc import mfcc
from lpips_jax.metrics.sync import SyncScores, sync_scores

FRAMES = 5  # of video that SyncNet sees at once
MFCCS = 20  # columns that it hears at once, 0.2 s
PER_FRAME = 4  # columns a frame of video, at 25 fps


def lse(syncnet: Callable[..., tuple[np.ndarray, np.ndarray]], frames: np.ndarray, samples: np.ndarray) -> SyncScores:
  """Returns LSE-D (`distance`), LSE-C (`confidence`) and the offset of one face track.

  Args:
    syncnet: (frames (n, 5, 224, 224, 3) RGB in [0, 255], mfccs (n, 13, 20)) -> two features (n, d).
    frames: (t, 224, 224, 3) uint8 RGB at 25 fps.
    samples: (s,) int16 at 16 kHz.

  Raises:
    ValueError: there is less than 0.24 s of both.
  """
  usable = min(len(frames), len(samples) // SAMPLES_A_FRAME) - FRAMES
  if usable < 1:
    raise ValueError(f'{len(frames)} frames and {len(samples) / 16_000:.2f} s of sound are too short for SyncNet')
  coefficients = mfcc(samples)
  heard = np.lib.stride_tricks.sliding_window_view(coefficients, MFCCS, 0)[::PER_FRAME][:usable]
  seen = np.lib.stride_tricks.sliding_window_view(frames, FRAMES, 0)[:usable].transpose(0, 4, 1, 2, 3)
  return sync_scores(*syncnet(seen, heard))
