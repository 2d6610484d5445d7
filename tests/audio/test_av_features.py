"""Features equal those of python_speech_features, normalised as PyTorch defines it."""

import numpy as np
import pytest
import python_speech_features as theirs

from lpips_jax.audio.av_features import av_features

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('frames', [24, 25, 30])
def test_four_frames_of_bands_a_frame(frames):
  samples = (3000 * RNG.standard_normal(16_000)).astype(np.int16)
  bands = theirs.logfbank(samples, 16_000)  # 99 frames of 10 ms: the last stack lacks one
  stacked = np.concatenate([bands, np.zeros((1, 26))]).reshape(25, 104)
  expected = (stacked - stacked.mean(1, keepdims=True)) / np.sqrt(stacked.var(1, keepdims=True) + 1e-5)
  found = av_features(samples, frames)
  assert found.shape == (frames, 104) and found.dtype == np.float32
  np.testing.assert_allclose(found[:25], expected[:frames], atol=1e-5)
  assert (found[25:] == 0).all()


def test_loudness_is_not_heard_and_silence_is_nothing():
  samples = 3000 * RNG.standard_normal(6400)
  np.testing.assert_allclose(av_features(samples, 9), av_features(samples / 10, 9), atol=1e-5)
  np.testing.assert_allclose(av_features(np.zeros(6400), 9), 0, atol=1e-4)
