"""Audio augmentation: changes a mel spectrogram as another voice, microphone or room would."""

import dataclasses

import numpy as np

from lpips_jax.audio.mel import FLOOR_DB
from lpips_jax.core.constants import MEL_BANDS, MEL_MAX

MEL_UNITS_PER_DB = 2 * MEL_MAX / -FLOOR_DB  # a decibel in the units of the mel spectrogram
# Vocal tracts differ by a fifth in length: formants are stretched by up to a share, and moved by up to some bands.
MAX_STRETCH, MAX_SHIFT_BANDS = 0.12, 5.0
# The frequency response: the level of all bands, the highest band against the lowest, and waves over the bands.
LEVEL_DB, TILT_DB, CURVE_DB = 6.0, 10.0, 4.0
RESPONSE_HALF_WAVES = 4  # from the lowest to the highest band
SIGNAL_TO_NOISE_DB = 5.0, 45.0  # from the loud parts of the example down to the noise
MAX_BANDS_HIDDEN, MAX_STEPS_HIDDEN = 12, 3  # mel bands of an example, and mel frames of a window


@dataclasses.dataclass(frozen=True)
class AudioAugmentation:
  """The strength of the random changes to the speech of an example.

  Attributes:
    strength: 0 leaves the speech as it is; 1 varies it as much as voices and rooms differ.
  """

  strength: float = 0.0

  def __call__(self, mels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the windows of one clip with the same random change made to all; the mel frames hidden differ.

    Args:
      mels: (k, 80, steps) float32 in [-4, 4].
      rng: draws the change.

    Returns:
      (k, 80, steps) float32 in [-4, 4].
    """
    if not self.strength:
      return mels
    mels = _with_other_formants(mels, self.strength * rng.uniform(-1, 1, 2))
    mels = mels + (self.strength * MEL_UNITS_PER_DB * _response(rng)).astype(np.float32)[:, None]
    mels = _with_noise(mels, self.strength, rng)
    return _with_gaps(np.clip(mels, -MEL_MAX, MEL_MAX), self.strength, rng).astype(np.float32)


NO_AUDIO_AUGMENTATION = AudioAugmentation()


def _with_other_formants(mels: np.ndarray, draw: np.ndarray) -> np.ndarray:
  """Resamples the bands, as a longer or shorter vocal tract, or another pitch, would move the formants."""
  place = np.clip(np.arange(MEL_BANDS) * (1 + MAX_STRETCH * draw[0]) + MAX_SHIFT_BANDS * draw[1], 0, MEL_BANDS - 1)
  below = np.minimum(place.astype(int), MEL_BANDS - 2)
  part = (place - below)[:, None]
  return mels[:, below] * (1 - part) + mels[:, below + 1] * part


def _response(rng: np.random.Generator) -> np.ndarray:
  """Returns a smooth random frequency response of a microphone and a room, (80,) in dB."""
  x = np.linspace(0, 1, MEL_BANDS)
  waves = sum(rng.uniform(-1, 1) * np.cos(np.pi * (k + 1) * x) / (k + 1) for k in range(RESPONSE_HALF_WAVES))
  return LEVEL_DB * rng.uniform(-1, 1) + TILT_DB * rng.uniform(-1, 1) * (x - 0.5) + CURVE_DB * waves


def _with_noise(mels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
  """Adds the power of steady noise of a random colour; the power of each cell is exponentially distributed."""
  below = SIGNAL_TO_NOISE_DB[1] + strength * (SIGNAL_TO_NOISE_DB[0] - SIGNAL_TO_NOISE_DB[1]) * rng.random() ** 2
  cells = 10 * np.log10(rng.exponential(size=mels.shape) + 1e-3)
  noise = np.percentile(mels, 95) + MEL_UNITS_PER_DB * (cells - below + _response(rng)[:, None])
  scale = 10 * MEL_UNITS_PER_DB / np.log(10)
  return scale * np.logaddexp(mels / scale, noise / scale)


def _with_gaps(mels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
  """Masks some bands, and mel frames of each window, with the mean (SpecAugment, Park et al., arXiv 1904.08779)."""
  mels = mels.copy()
  first, count = rng.integers(MEL_BANDS), rng.integers(round(strength * MAX_BANDS_HIDDEN) + 1)
  mels[:, first : first + count] = mels.mean()
  for window in mels:
    first, count = rng.integers(mels.shape[-1]), rng.integers(round(strength * MAX_STEPS_HIDDEN) + 1)
    window[:, first : first + count] = window.mean()
  return mels
