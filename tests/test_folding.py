"""BatchNorm folded into convolutions changes nothing but the arithmetic."""

import jax
import numpy as np
import pytest

from benchmarks import commands
from configs import quickstart
from lpips_jax import folding, models
from lpips_jax.models.inception import MixedE

RNG = np.random.default_rng(0)


def tiny(task, **changes):
  config = quickstart.get_config(task)
  config.update_from_flattened_dict(commands.TINY[task])
  config.model.update(changes)
  return models.build(config.model), models.example_inputs(config.model)


def drawn(shape):
  """A variable whose every number matters: a kernel that keeps the size of its input, or positive numbers."""
  if len(shape.shape) < 2:
    return RNG.uniform(0.3, 1.3, shape.shape).astype(np.float32)
  return (RNG.standard_normal(shape.shape) / np.sqrt(np.prod(shape.shape[:-1]))).astype(np.float32)


@pytest.mark.parametrize(
  ('module', 'inputs'),
  [
    tiny('generator'),
    tiny('generator', attention=False, fusion='concat'),
    tiny('sync_expert', contrastive=False),
    (MixedE(), [jax.ShapeDtypeStruct((1, 5, 5, 8), np.float32)]),
  ],
  ids=['generator', 'concatenation', 'expert', 'inception'],
)
def test_the_same_function_without_batch_norm(module, inputs):
  inputs = [RNG.uniform(size=(2, *x.shape[1:])).astype(np.float32) for x in inputs]
  variables = jax.tree.map(drawn, jax.eval_shape(module.init, jax.random.key(0), *inputs))
  folded = folding.fold(variables)
  assert folded.keys() == {'params'}
  assert not any('scale' in jax.tree_util.keystr(path[-1:]) for path, _ in jax.tree.leaves_with_path(folded))
  ours = jax.jit(lambda v, x: folding.apply(module, v, *x))(folded, inputs)
  expected = jax.jit(lambda v, x: module.apply(v, *x))(variables, inputs)
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
