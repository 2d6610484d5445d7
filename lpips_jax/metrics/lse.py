"""LSE-D, LSE-C and offset by SyncNet, comparable with the numbers that papers publish."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int16, UInt8

from lpips_jax.core.constants import SAMPLE_RATE, SAMPLES_PER_FRAME, WINDOW_FRAMES
from lpips_jax.metrics.mfcc import mfcc
from lpips_jax.metrics.sync import SyncScores, sync_scores

MFCC_COLUMNS = 20  # that SyncNet hears at once, 0.2 s
COLUMNS_PER_FRAME = 4  # of video, at 25 fps


def lse(
  syncnet: Callable[..., tuple[np.ndarray, np.ndarray]],
  frames: UInt8[np.ndarray, 't h w 3'],
  samples: Int16[np.ndarray, ' s'],
) -> SyncScores:
  """Returns LSE-D (`distance`), LSE-C (`confidence`) and the offset of one face track.

  The distance of lips and speech is averaged over the track for each shift of -15 to 15 frames. LSE-D is the least of
  these means, LSE-C their median minus the least (`metrics.sync`). `evaluation.scorers` puts both into the table.

  Args:
    syncnet: (frames (n, 5, h, w, 3) RGB in [0, 255], MFCCs (n, 13, 20)) -> two embeddings (n, d).
    frames: RGB at 25 fps, of the size that SyncNet sees, 224 pixels.
    samples: at 16 kHz.

  Raises:
    ValueError: there is less than 0.24 s of both.
  """
  usable = min(len(frames), len(samples) // SAMPLES_PER_FRAME) - WINDOW_FRAMES
  if usable < 1:
    raise ValueError(f'{len(frames)} frames and {len(samples) / SAMPLE_RATE:.2f} s of sound are too short for SyncNet')
  coefficients = mfcc(samples)
  heard = np.lib.stride_tricks.sliding_window_view(coefficients, MFCC_COLUMNS, 0)[::COLUMNS_PER_FRAME][:usable]
  seen = np.lib.stride_tricks.sliding_window_view(frames, WINDOW_FRAMES, 0)[:usable].transpose(0, 4, 1, 2, 3)
  return sync_scores(*syncnet(seen, heard))
