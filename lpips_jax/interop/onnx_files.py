"""Networks as ONNX, converted by jax2onnx."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from lpips_jax import models
from lpips_jax.core.errors import UserError
from lpips_jax.pretrained import folding
from lpips_jax.pretrained.network import Pretrained

BATCH_AXIS = 'batch'


def write(path: Path, network: Pretrained, names: tuple[str, ...]) -> None:
  """Writes a network for any batch size, weights inside.

  Args:
    path: the file to write.
    network: the network, without a silent generator.
    names: the names of its inputs.

  Raises:
    UserError: jax2onnx is not installed.
  """
  try:
    import onnx
    from jax2onnx import to_onnx
  except ImportError as error:
    raise UserError(f"ONNX needs jax2onnx ({error}): pip install -e '.[onnx]'") from error
  apply = folding.apply if network.config.get('folded') else nn.Module.apply

  def call(*inputs: jax.Array) -> Any:
    return apply(network.model, network.variables, *inputs)

  shapes = [(BATCH_AXIS, *x.shape[1:]) for x in models.example_inputs(network.config.model)]
  onnx.save(to_onnx(call, shapes, input_names=names), path)
