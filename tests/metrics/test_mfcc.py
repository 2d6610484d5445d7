"""MFCCs against python_speech_features, and against what they are by definition."""

import numpy as np
import pytest
import python_speech_features as theirs
from annotations import unchecked

from lpips_jax.metrics.mfcc import mfcc

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('length', [1, 399, 400, 401, 560, 561, 16_000, 33_333])
def test_as_python_speech_features(length):
  tone = 8000 * np.sin(np.arange(length) * 0.05) + 500 * RNG.standard_normal(length)
  for samples in (tone.astype(np.int16), np.zeros(length, np.int16)):
    expected = theirs.mfcc(samples, 16_000)
    assert mfcc(samples).shape == expected.shape
    np.testing.assert_allclose(mfcc(samples), expected, rtol=1e-3, atol=1e-9)


def test_frames_and_energy():
  found = mfcc(np.full(16_000, 1000, np.int16))
  assert found.shape == (99, 13)
  emphasised = np.full(400, 30.0)  # a constant loses 0.97 of itself
  energy = (np.abs(np.fft.rfft(emphasised, 512)) ** 2).sum() / 512
  np.testing.assert_allclose(found[5, 0], np.log(energy))


@pytest.mark.parametrize('samples', [np.zeros(0), np.zeros((2, 100))])
def test_arrays_that_are_no_sound_are_refused(samples):
  with unchecked(), pytest.raises(ValueError, match='one-channel'):
    mfcc(samples)
