"""Energies in mel bands against python_speech_features, and against what they are by definition."""

import numpy as np
import pytest
import python_speech_features as theirs
from annotations import unchecked

from lpips_jax.audio.band_energies import log_energies

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('length', [1, 399, 400, 401, 560, 561, 16_000])
def test_as_python_speech_features(length):
  tone = 8000 * np.sin(np.arange(length) * 0.05) + 500 * RNG.standard_normal(length)
  for samples in (tone.astype(np.int16), np.zeros(length, np.int16)):
    found, energy = log_energies(samples)
    np.testing.assert_allclose(found, theirs.logfbank(samples, 16_000), rtol=1e-6)
    np.testing.assert_allclose(energy, np.log(theirs.fbank(samples, 16_000)[1]), rtol=1e-6)


def test_frames_and_energy():
  found, energy = log_energies(np.full(16_000, 1000, np.int16))
  assert found.shape == (99, 26)
  emphasised = np.full(400, 30.0)  # a constant loses 0.97 of itself
  np.testing.assert_allclose(energy[5], np.log((np.abs(np.fft.rfft(emphasised, 512)) ** 2).sum() / 512))


@pytest.mark.parametrize('samples', [np.zeros(0), np.zeros((2, 100))])
def test_arrays_that_are_no_sound_are_refused(samples):
  with unchecked(), pytest.raises(ValueError, match='one-channel'):
    log_energies(samples)
