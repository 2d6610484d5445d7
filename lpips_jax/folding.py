"""BatchNorm folded into the convolutions before it: the same function of an image, with less to compute.

With running statistics BatchNorm is a scale and a shift of each channel. The scale goes into the kernel of the
convolution before; the shift is all that is left of BatchNorm.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax

from lpips_jax import winograd
from lpips_jax.activations import relu
from lpips_jax.models.normalisation import BatchNorm

Tree = Mapping[str, Any]
PAIRS = {'norm': ('conv', 'reduce'), 'bn': ('conv',)}  # BatchNorms, and by which names their convolutions go
EPSILON = {'norm': 1e-5, 'bn': 1e-3}


def fold(variables: Tree) -> dict[str, Any]:
  """Returns a network's variables without BatchNorm, for `apply`: `params` alone, in float32.

  Args:
    variables: `params` and `batch_stats` of a module of `lpips_jax.models`; of NumPy's arrays, or JAX's, as are then
      those returned. The former take a tenth of the time, as nothing is compiled.
  """
  return {'params': _folded(variables['params'], variables.get('batch_stats', {}))}


def apply(module: nn.Module, variables: Tree, *inputs: jax.Array, **options: Any) -> Any:
  """`module.apply` with variables from `fold`, also with kernels from `winograd.transform_kernels`."""
  with nn.intercept_methods(_shift_alone), nn.intercept_methods(winograd.instead):
    return module.apply(variables, *inputs, **options)


def _folded(params: Tree, stats: Tree) -> dict[str, Any]:
  folded = {}
  for name, tree in params.items():
    if isinstance(tree, Mapping) and not (name in PAIRS and name in stats):
      folded[name] = _folded(tree, stats.get(name, {}))
    elif not isinstance(tree, Mapping):
      folded[name] = tree
  for name in params.keys() & PAIRS.keys() & stats.keys():
    [before] = [conv for conv in PAIRS[name] if conv in params]
    scale = params[name]['scale'] / (stats[name]['var'] + EPSILON[name]) ** 0.5  # NumPy's arrays stay NumPy's
    folded[before] |= {'kernel': params[before]['kernel'] * scale}
    folded[name] = {'bias': params[name]['bias'] - stats[name]['mean'] * scale}
  return folded


def _shift_alone(
  call: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], context: nn.module.InterceptorContext
) -> Any:
  if not isinstance(context.module, BatchNorm) or context.method_name != '__call__':
    return call(*inputs, **options)
  x = inputs[0]
  y = x + context.module.get_variable('params', 'bias').astype(x.dtype)
  return relu(y) if context.module.rectify else y
