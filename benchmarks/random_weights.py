"""Untrained networks for benchmarks: speed does not depend on the values of the weights."""

import runpy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from benchmarks.commands import ROOT
from lpips_jax import models, perceptual
from lpips_jax.models.initialise import init_variables
from lpips_jax.pretrained import Pretrained

if TYPE_CHECKING:
  from lpips_jax.training.frozen import Frozen


def network(config_file: str, overrides: Mapping[str, object]) -> Pretrained:
  """Returns the network that a file of configs/ describes, with weights drawn from seed 0.

  Args:
    config_file: its name.
    overrides: config values by dotted key.
  """
  config: ConfigDict = runpy.run_path(str(ROOT / 'configs' / config_file))['get_config']()
  config.update_from_flattened_dict(dict(overrides))
  model = models.build(config.model)
  variables = jax.jit(model.init)(jax.random.key(0), *models.example_inputs(config.model))
  return Pretrained(config, model, variables, 0)


def with_statistics(variables: dict[str, Any], seed: int = 0) -> dict[str, Any]:
  """Returns the variables with random BatchNorm statistics, so that ignoring the statistics would change outputs."""
  rng = np.random.default_rng(seed)

  def draw(path: tuple[Any, ...], x: jax.Array) -> jax.Array:
    drawn = rng.uniform(0.5, 2, x.shape) if path[-1].key == 'var' else rng.normal(0, 0.1, x.shape)
    return jnp.asarray(drawn, x.dtype)

  return variables | {'batch_stats': jax.tree_util.tree_map_with_path(draw, variables['batch_stats'])}


def frozen_networks(config: ConfigDict, **networks: ConfigDict) -> 'Frozen':
  """Returns what a training step uses but does not train: untrained networks, and LPIPS with random weights.

  Args:
    config: config of the run; only a generator's step uses other networks.
    **networks: their model configs, by the names of `core.constants.FROZEN`.
  """
  from lpips_jax.training.frozen import Frozen, computing_in  # here: benchmarks of inference import no training code

  if config.task != 'generator':
    return Frozen()
  frozen = Frozen({}, {'lpips': perceptual.random_weights(0, config.perceptual.width)})
  for name, of_network in networks.items():
    module = models.build(of_network)
    frozen.variables[name] = init_variables(module, of_network, 1)
    frozen.modules[name] = computing_in(config.model.dtype, module)
  return frozen
