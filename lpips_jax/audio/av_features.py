"""Speech as AV-HuBERT hears it: four frames of 26 log band energies to each frame of video (arXiv 2201.02184)."""

import numpy as np
from jaxtyping import Float, Real

from lpips_jax.audio.band_energies import BANDS, log_energies

STACKED = 4  # frames of 10 ms to one of video
AV_FEATURES = STACKED * BANDS  # 104
EPSILON = 1e-5  # added to the variance, as PyTorch's layer normalisation does


def av_features(samples: Real[np.ndarray, ' s'], frames: int) -> Float[np.ndarray, '{frames} 104']:
  """Returns what AV-HuBERT hears in each frame of a video at 25 frames a second.

  Args:
    samples: at 16 kHz, from the first frame's time on, s >= 1; int16, or floats on its scale.
    frames: of the video; sound past them is cut, and where it ends earlier, zeros follow.

  Returns:
    float32, each row of mean 0 and variance 1, or zeros: so loudness is hardly heard.

  Raises:
    ValueError: there are no samples, or more than one channel.
  """
  bands, _ = log_energies(samples)
  bands = bands[: frames * STACKED]
  stacked = np.pad(bands, ((0, -len(bands) % STACKED), (0, 0))).reshape(-1, AV_FEATURES)
  stacked = np.pad(stacked, ((0, frames - len(stacked)), (0, 0)))
  centred = stacked - stacked.mean(1, keepdims=True)
  return (centred / np.sqrt(centred.var(1, keepdims=True) + EPSILON)).astype(np.float32)
