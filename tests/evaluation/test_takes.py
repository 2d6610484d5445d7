"""Networks hear clips at the level that they were trained for."""

import numpy as np
from ml_collections import ConfigDict

from lpips_jax.evaluation import Clip
from lpips_jax.evaluation.takes import heard
from lpips_jax.media.audio import melspectrogram
from lpips_jax.media.loudness import mel_of


class Network:
  def __init__(self, **data):
    self.config = ConfigDict({'data': data})


def test_a_network_hears_what_it_was_trained_on():
  audio = np.int16(500 * np.random.default_rng(0).standard_normal(3200))
  clip = Clip('c', 's', np.zeros((5, 8, 8, 3), np.uint8), mel_of(audio), audio)
  assert heard(clip, Network(level='normalised')) is clip.mel
  for others in (Network(level='as_is'), Network()):
    np.testing.assert_array_equal(heard(clip, others), melspectrogram(audio / np.float32(32768)))
