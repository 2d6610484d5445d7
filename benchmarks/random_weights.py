"""Networks of the paper's size before any training: speed does not depend on what weights say."""

import runpy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from benchmarks.commands import ROOT
from lpips_jax import models
from lpips_jax.pretrained.checkpoint import Pretrained


def network(config_file: str = 'lrs2.py', **values: object) -> Pretrained:
  """Returns the network that a file of configs/ describes, its weights drawn with seed 0.

  Args:
    config_file: its name.
    **values: of the config, with `__` for dots.
  """
  config: ConfigDict = runpy.run_path(str(ROOT / 'configs' / config_file))['get_config']()
  config.update_from_flattened_dict({name.replace('__', '.'): value for name, value in values.items()})
  model = models.build(config.model)
  variables = jax.jit(model.init)(jax.random.key(0), *models.example_inputs(config.model))
  return Pretrained(config, model, variables, 0)


def with_statistics(variables: dict[str, Any], seed: int = 0) -> dict[str, Any]:
  """The same variables with BatchNorm's statistics drawn at random, so that leaving them out would be noticed."""
  rng = np.random.default_rng(seed)

  def draw(path: tuple[Any, ...], x: jax.Array) -> jax.Array:
    drawn = rng.uniform(0.5, 2, x.shape) if path[-1].key == 'var' else rng.normal(0, 0.1, x.shape)
    return jnp.asarray(drawn, x.dtype)

  return variables | {'batch_stats': jax.tree_util.tree_map_with_path(draw, variables['batch_stats'])}
