"""Untrained tiny networks, for tests in which the values of weights do not matter."""

from pathlib import Path

from runs import tiny_config

from lpips_jax import models
from lpips_jax.models.initialise import init_variables
from lpips_jax.pretrained import Pretrained


def random_network(task: str, seed: int = 0, **changes: object) -> Pretrained:
  """Returns the network of a task's tiny config, with changes to its model config, as if after 3 updates."""
  config = tiny_config(task, Path('nowhere'))
  config.model.update(changes)
  model = models.build(config.model)
  return Pretrained(config, model, init_variables(model, config.model, seed), 3)
