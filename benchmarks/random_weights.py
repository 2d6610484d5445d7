"""Networks of the paper's size before any training: speed does not depend on what weights say."""

import runpy

import jax
from ml_collections import ConfigDict

from benchmarks.commands import ROOT
from lpips_jax import models
from lpips_jax.pretrained import Pretrained


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
