"""Changes to the mel spectrogram of a training example that another voice, microphone or room might have made."""

import dataclasses

import numpy as np

from lpips_jax.audio.mel import FLOOR_DB, MAX_VALUE, MEL_BANDS, WINDOW

A_DECIBEL = 2 * MAX_VALUE / -FLOOR_DB  # in the units of a mel
STRETCH, SHIFT = 0.12, 5.0  # of formants, and bands by which all of them move: vocal tracts differ by a fifth
LOUDER, TILT, CURVE = 6.0, 10.0, 4.0  # dB: all bands; the highest beside the lowest; waves over the bands
WAVES = 4  # half ones, from the lowest to the highest band
NOISE_BELOW = 5.0, 45.0  # dB from the loud parts of the example down to noise
BANDS_HIDDEN, FRAMES_HIDDEN = 12, 3  # at most


@dataclasses.dataclass(frozen=True)
class AudioAugmentation:
  """How much the speech of an example may change.

  Attributes:
    strength: 0 leaves it as it is; 1 is as much as voices and rooms differ.
  """

  strength: float = 0.0

  def __call__(self, mels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns changed windows of one clip, all changed alike but for what is hidden: (k, 80, 16) -> (k, 80, 16)."""
    if not self.strength:
      return mels
    mels = _with_other_formants(mels, self.strength * rng.uniform(-1, 1, 2))
    mels = mels + (self.strength * A_DECIBEL * _response(rng)).astype(np.float32)[:, None]
    mels = _with_noise(mels, self.strength, rng)
    return _with_gaps(np.clip(mels, -MAX_VALUE, MAX_VALUE), self.strength, rng).astype(np.float32)


AS_SPOKEN = AudioAugmentation()


def _with_other_formants(mels: np.ndarray, draw: np.ndarray) -> np.ndarray:
  """Reads the bands at other places: that is what a longer or a shorter vocal tract does, and another pitch."""
  place = np.clip(np.arange(MEL_BANDS) * (1 + STRETCH * draw[0]) + SHIFT * draw[1], 0, MEL_BANDS - 1)
  below = np.minimum(place.astype(int), MEL_BANDS - 2)
  part = (place - below)[:, None]
  return mels[:, below] * (1 - part) + mels[:, below + 1] * part


def _response(rng: np.random.Generator) -> np.ndarray:
  """How a microphone and a room colour speech, in dB: (80,), smooth."""
  x = np.linspace(0, 1, MEL_BANDS)
  waves = sum(rng.uniform(-1, 1) * np.cos(np.pi * (k + 1) * x) / (k + 1) for k in range(WAVES))
  return LOUDER * rng.uniform(-1, 1) + TILT * rng.uniform(-1, 1) * (x - 0.5) + CURVE * waves


def _with_noise(mels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
  """Adds the power of steady noise, coloured at random, whose every cell varies as that of noise does."""
  below = NOISE_BELOW[1] + strength * (NOISE_BELOW[0] - NOISE_BELOW[1]) * rng.random() ** 2
  cells = 10 * np.log10(rng.exponential(size=mels.shape) + 1e-3)
  noise = np.percentile(mels, 95) + A_DECIBEL * (cells - below + _response(rng)[:, None])
  scale = 10 * A_DECIBEL / np.log(10)
  return scale * np.logaddexp(mels / scale, noise / scale)


def _with_gaps(mels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
  """Hides some bands, and in each window some moments, behind the mean (Park et al., arXiv 1904.08779)."""
  mels = mels.copy()
  first, count = rng.integers(MEL_BANDS), rng.integers(round(strength * BANDS_HIDDEN) + 1)
  mels[:, first : first + count] = mels.mean()
  for window in mels:
    first, count = rng.integers(WINDOW), rng.integers(round(strength * FRAMES_HIDDEN) + 1)
    window[:, first : first + count] = window.mean()
  return mels
