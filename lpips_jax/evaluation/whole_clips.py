"""Whole clips as networks take them that see a sentence at once: padded, so that few programs are compiled."""

import numpy as np

from lpips_jax.core.constants import FRAME_RATE


def padded(clip: np.ndarray) -> np.ndarray:
  """Appends zeros to the frames of a clip up to a whole second, and the axis of the batch: (t, ...) -> (1, T, ...)."""
  return np.pad(clip, [(0, -len(clip) % FRAME_RATE), *[(0, 0)] * (clip.ndim - 1)])[None]


def length_of(clip: np.ndarray) -> np.ndarray:
  """Returns the frames of a clip that are no padding, as a batch: (1,) int32."""
  return np.array([len(clip)], np.int32)
