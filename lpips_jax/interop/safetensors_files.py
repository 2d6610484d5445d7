"""Reads networks that lpips_jax.interop.export wrote as safetensors."""

import json
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from lpips_jax import models, pretrained
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.interop.correspondence import Source, converted
from lpips_jax.pretrained.network import variable_shapes


def read(path: Path) -> pretrained.Pretrained:
  """Reads a network with its config and step.

  Raises:
    UserError: the file does not exist, is damaged, was not exported here, or does not fit its own config.
  """
  from safetensors import safe_open

  if not path.is_file():
    raise UserError(f'{path} is not there: give a file of weights')
  try:
    with safe_open(path, 'numpy') as file:
      metadata = file.metadata() or {}
      arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, it is no mapping
    config, step = ConfigDict(json.loads(metadata['config'])), int(metadata['step'])
    shapes = variable_shapes(config)
  except Exception as error:  # whatever safetensors, JSON and the networks make of files that are damaged or foreign
    raise UserError(f'{path} is damaged, or was not exported here ({first_line(error)})') from error
  try:
    variables = converted(shapes, lambda path: Source(('.'.join(path),), np.asarray), arrays)
  except UserError as error:
    raise UserError(f'{path} does not fit its own config: {error}') from error
  return pretrained.Pretrained(config, models.build(config.model), variables, step)
