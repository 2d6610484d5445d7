"""Networks as ONNX, converted by jax2onnx."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from lpips_jax.core.errors import UserError
from lpips_jax.pretrained import folding
from lpips_jax.pretrained.network import Pretrained


def write(path: Path, network: Pretrained, shapes: Mapping[str, tuple[str | int, ...]]) -> None:
  """Writes a network, weights inside.

  Args:
    path: the file to write.
    network: the network, without a silent generator.
    shapes: of its inputs, by name and in their order; an axis of any length has a name in place of a number.

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

  onnx.save(to_onnx(call, [*shapes.values()], input_names=[*shapes]), path)
