"""PyTorch's losses equal ours."""

import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from beside_torch import quickly_compiled, uniform

from benchmarks.torch_reference import losses
from lpips_jax import losses as our_losses


def test_losses_of_pairs():
  logits = uniform(6, 6, low=-3, high=3)
  clip, start = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 9, 4, 4, 5])  # the second clip has no negatives
  pairs = logits, clip, start
  theirs = tuple(map(torch.from_numpy, pairs))

  def ours(*pairs):
    by_window = our_losses.contrastive(*pairs, 3), our_losses.balanced_bce(*pairs, 3, 0.7)
    return *by_window, our_losses.trust(pairs[0], 3, 1.0)

  found = losses.contrastive(*theirs, 3), losses.balanced_bce(*theirs, 3, 0.7), losses.trust(theirs[0], 3, 1.0)
  for a, b in zip(found, quickly_compiled(ours, *pairs)(*pairs), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_losses_of_adversaries():
  filmed, generated = uniform(5, low=-2, high=2), uniform(5, low=-2, high=2)
  theirs = torch.from_numpy(filmed), torch.from_numpy(generated)
  filmed, generated = jnp.asarray(filmed), jnp.asarray(generated)
  for kind in ('bce', 'hinge'):
    expected = our_losses.discrimination(filmed, generated, kind), our_losses.adversarial(generated, kind)
    found = losses.discrimination(*theirs, kind), losses.adversarial(theirs[1], kind)
    for a, b in zip(found, expected, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-5)
  np.testing.assert_allclose(losses.sync(100 * theirs[0]), our_losses.sync(100 * filmed), rtol=1e-5, atol=1e-6)
