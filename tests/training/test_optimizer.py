"""The learning rate of a step."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax.training.optimizer import learning_rate

CONFIG = {'learning_rate': 1e-3, 'batch_size': 64, 'warmup_steps': 10}


@pytest.mark.parametrize(('scaling', 'factor'), [('none', 1), ('sqrt', 2), ('linear', 4)])
def test_grows_with_the_batch_as_asked(scaling, factor):
  rate = learning_rate(ConfigDict(CONFIG | {'scaling': scaling, 'cosine': False}), 256, 100)
  np.testing.assert_allclose(
    [rate(0), rate(5), rate(10), rate(99)], [0, 5e-4 * factor, *[1e-3 * factor] * 2], rtol=1e-6
  )


def test_falls_to_a_fiftieth():
  rate = learning_rate(ConfigDict(CONFIG | {'scaling': 'none', 'cosine': True}), 64, 100)
  np.testing.assert_allclose([rate(10), rate(55), rate(100)], [1e-3, 5.1e-4, 2e-5], rtol=1e-5)
