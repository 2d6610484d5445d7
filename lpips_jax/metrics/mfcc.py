"""Mel-frequency cepstral coefficients as SyncNet hears them: those of python_speech_features' defaults at 16 kHz."""

import numpy as np
from jaxtyping import Float, Real
from scipy.fft import dct

from lpips_jax.audio.band_energies import log_energies

COEFFICIENTS = 13
LIFTER = 22


def mfcc(samples: Real[np.ndarray, ' s']) -> Float[np.ndarray, 'frames 13']:
  """Returns the coefficients of each 10 ms of sound; the first one is the logarithm of the energy.

  Arguments, frames and errors are those of `log_energies`.
  """
  bands, energy = log_energies(samples)
  cepstrum = dct(bands, type=2, axis=1, norm='ortho')[:, :COEFFICIENTS]
  lifted = cepstrum * (1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER))
  lifted[:, 0] = energy
  return lifted
