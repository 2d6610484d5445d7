"""Mouths that a generator shuts."""

import numpy as np
import pytest

from lpips_jax.audio.condition import CONDITIONS, silence
from lpips_jax.models import Generator, Wav2Lip
from lpips_jax.models.silence import shut_mouths


@pytest.mark.parametrize('speech', list(CONDITIONS))
def test_the_generator_sees_each_face_as_its_own_reference_and_hears_nothing(speech):
  faces = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
  heard = []

  def generate(inputs, windows):
    heard.append(windows)
    np.testing.assert_array_equal(inputs[:, 4:, :, :3], 0)
    return inputs[..., 3:]

  shut = shut_mouths(Generator(speech=speech), generate, faces)
  np.testing.assert_allclose(shut, faces / 255, rtol=1e-6)
  assert heard[0].shape == (3, 80, 16)
  for window in heard[0]:
    np.testing.assert_array_equal(window, silence(speech, 16).T)


def test_a_model_without_a_kind_of_speech_hears_mels():
  heard = []

  def generate(inputs, windows):
    heard.append(windows)
    return inputs[..., 3:]

  shut_mouths(Wav2Lip(), generate, np.zeros((1, 8, 8, 3), np.float32))
  np.testing.assert_array_equal(heard[0], np.full((1, 80, 16), -4))
