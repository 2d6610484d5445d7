"""MFCCs against python_speech_features."""

import numpy as np
import pytest
import python_speech_features as theirs

from lpips_jax.metrics.mfcc import mfcc

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('length', [1, 399, 400, 401, 560, 561, 16_000, 33_333])
def test_as_python_speech_features(length):
  tone = 8000 * np.sin(np.arange(length) * 0.05) + 500 * RNG.standard_normal(length)
  for samples in (tone.astype(np.int16), np.zeros(length, np.int16)):
    expected = theirs.mfcc(samples, 16_000)
    assert mfcc(samples).shape == expected.shape
    np.testing.assert_allclose(mfcc(samples), expected, rtol=1e-3, atol=1e-9)
