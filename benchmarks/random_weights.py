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
from lpips_jax.core.constants import SYNC_EXPERT
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


def frozen_networks(config: ConfigDict, expert_model: ConfigDict) -> 'Frozen':
  """Returns what a training step uses but does not train: an untrained expert, and LPIPS with random weights.

  Args:
    config: config of the run; a sync expert's step uses no other network.
    expert_model: model config of the expert.
  """
  from lpips_jax.training.frozen import Frozen  # here: benchmarks of inference import no training code

  if config.task == 'sync_expert':
    return Frozen()
  expert = models.build(expert_model)
  lpips = perceptual.random_weights(0, config.perceptual.width)
  weights = {SYNC_EXPERT: init_variables(expert, expert_model, 1), 'lpips': lpips}
  return Frozen({SYNC_EXPERT: expert.clone(dtype=jnp.dtype(config.model.dtype))}, weights)
