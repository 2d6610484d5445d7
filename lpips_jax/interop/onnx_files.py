"""Networks as ONNX, by jax2onnx."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from lpips_jax import models
from lpips_jax.core.errors import UserError
from lpips_jax.pretrained import folding
from lpips_jax.pretrained.checkpoint import Pretrained

BATCH = 'batch'


def write(path: Path, network: Pretrained, names: tuple[str, ...]) -> None:
  """Writes a network for any batch, its weights inside.

  Args:
    path: the file to write.
    network: the network.
    names: of its inputs.

  Raises:
    UserError: jax2onnx is not here.
  """
  try:
    import onnx
    from jax2onnx import to_onnx
  except ImportError as error:
    raise UserError(f"ONNX needs jax2onnx ({error}): pip install -e '.[onnx]'") from error
  apply = folding.apply if network.config.get('folded') else nn.Module.apply

  def call(*inputs: jax.Array) -> Any:
    return apply(network.model, network.variables, *inputs)

  shapes = [(BATCH, *x.shape[1:]) for x in models.example_inputs(network.config.model)]
  onnx.save(to_onnx(call, shapes, input_names=names), path)
