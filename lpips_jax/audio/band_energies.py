"""Energies of speech in mel bands as python_speech_features has them by default: those of SyncNet and AV-HuBERT.

Scale, windows and frames differ from those of `lpips_jax.audio.mel`, which our own networks hear.
"""

from functools import cache

import numpy as np
from jaxtyping import Float, Real

from lpips_jax.core.constants import SAMPLE_RATE

FRAME_SAMPLES, FRAME_STEP = 400, 160  # samples: 25 and 10 ms, without a window function
FFT_SIZE = 512
BANDS = 26  # triangles from 0 to 8000 Hz
PREEMPHASIS = 0.97
MIN_ENERGY = np.finfo(np.float64).eps  # in place of energies of 0


def log_energies(
  samples: Real[np.ndarray, ' s'],
) -> tuple[Float[np.ndarray, 'frames 26'], Float[np.ndarray, ' frames']]:
  """Returns the logarithm of the energy of each 10 ms of sound: in each band, and of all frequencies.

  Args:
    samples: at 16 kHz, s >= 1; int16, or floats on its scale.

  Returns:
    float64, 1 + ceil((s - 400) / 160) rows, one at least; the last frame is filled up with silence.

  Raises:
    ValueError: there are no samples, or more than one channel.
  """
  samples = np.asarray(samples, np.float64)
  if samples.ndim != 1 or not samples.size:
    raise ValueError(f'speech must be a non-empty, one-channel array of samples, not one of shape {samples.shape}')
  emphasised = np.append(samples[:1], samples[1:] - PREEMPHASIS * samples[:-1])
  count = 1 + max(0, -(-(samples.size - FRAME_SAMPLES) // FRAME_STEP))
  padded = np.pad(emphasised, (0, max(0, (count - 1) * FRAME_STEP + FRAME_SAMPLES - samples.size)))
  frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::FRAME_STEP][:count]
  power = np.abs(np.fft.rfft(frames, FFT_SIZE)) ** 2 / FFT_SIZE
  return np.log(_positive(power @ _triangles().T)), np.log(_positive(power.sum(1)))


@cache
def _triangles() -> np.ndarray:
  """(26, 257): bands whose corners are equally spaced on the mel scale 2595 log10(1 + f / 700), rounded to bins."""
  mels = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), BANDS + 2)
  corners = np.floor((FFT_SIZE + 1) * 700 * (10 ** (mels / 2595) - 1) / SAMPLE_RATE)
  low, middle, high = (corners[k : k + BANDS, None] for k in range(3))
  bins = np.arange(FFT_SIZE // 2 + 1)
  rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
  return np.where((bins >= low) & (bins < middle), rising, np.where((bins >= middle) & (bins < high), falling, 0))


def _positive(energies: np.ndarray) -> np.ndarray:
  return np.where(energies == 0, MIN_ENERGY, energies)
