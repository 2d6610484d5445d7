"""Weights that do not fit a PyTorch module are refused."""

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from benchmarks.torch_reference import released, weights
from lpips_jax import perceptual


def test_weights_that_do_not_fit_are_refused():
  ours = perceptual.random_weights(0, 1 / 16)
  with pytest.raises(ValueError, match='does not go into'):
    weights.load(released.Lpips(1 / 8), ours)
  layer = {'kernel': np.zeros((1, 1, 4, 2))}
  with pytest.raises(ValueError, match='no weights for bias'):
    weights.load(torch.nn.Conv2d(4, 2, 1), {'params': layer})
