"""BatchNorm folded into the layers before it: the same function of an image, with less to compute.

With running statistics BatchNorm is a scale and a shift of each channel. The scale goes into the kernel of the
convolution, or dense layer, before; the shift is all that is left of BatchNorm. Which layer that is, is seen where the
network is traced, and not told by names.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from lpips_jax.core.errors import UserError
from lpips_jax.layers import winograd
from lpips_jax.layers.activations import relu
from lpips_jax.layers.normalisation import BatchNorm

Tree = Mapping[str, Any]
Path = tuple[str, ...]


class Fold(NamedTuple):
  """A BatchNorm, the layer whose output it is given, and what it adds to the variance."""

  norm: Path
  layer: Path
  epsilon: float


def fold(module: nn.Module, variables: Tree, *inputs: Any) -> dict[str, Any]:
  """Returns a network's variables without BatchNorm, for `apply`: `params` alone, in float32.

  Args:
    module: the network.
    variables: its `params` and `batch_stats`; of NumPy's arrays, or JAX's, as are then those returned. The former take
      a tenth of the time, as nothing is compiled.
    inputs: arrays that it could be called with, or their shapes.

  Raises:
    UserError: there is a BatchNorm that no layer of its own comes right before: nothing could take its scale.
  """
  folds = _folds(module, variables, inputs)
  left = set(_norms_of(variables.get('batch_stats', {}))) - {fold.norm for fold in folds}
  if left:
    raise UserError(f'{_named(module, min(left))} cannot be folded: the network never calls it')
  params = variables['params']
  for norm, layer, epsilon in folds:
    mean, var = (_at(variables['batch_stats'], norm)[name] for name in ('mean', 'var'))
    scale = _at(params, norm)['scale'] / (var + epsilon) ** 0.5  # NumPy's arrays stay NumPy's
    shift = _at(params, norm)['bias'] - mean * scale
    scaled = {name: weights * scale for name, weights in _at(params, layer).items()}  # channels are the last axis
    params = _replaced(_replaced(params, layer, scaled), norm, {'bias': shift})
  return {'params': params}


def apply(module: nn.Module, variables: Tree, *inputs: jax.Array, **options: Any) -> Any:
  """`module.apply` with variables from `fold`, also with kernels from `winograd.transform_kernels`."""
  with nn.intercept_methods(_shift_alone), nn.intercept_methods(winograd.instead):
    return module.apply(variables, *inputs, **options)


def _folds(module: nn.Module, variables: Tree, inputs: tuple[Any, ...]) -> list[Fold]:
  """What can be folded, as tracing the network shows; raises UserError where a BatchNorm cannot."""
  made: list[tuple[Any, Path]] = []  # by layers with a kernel
  found: list[Fold] = []

  def look(call: Callable[..., Any], given: tuple[Any, ...], options: dict[str, Any], context: Any) -> Any:
    layer = context.module
    if context.method_name != '__call__':
      return call(*given, **options)
    if isinstance(layer, BatchNorm):
      before = [path for output, path in made if output is given[0]]
      if not before:
        raise UserError(f'{_named(module, layer.path)} cannot be folded: no convolution comes right before it')
      found.append(Fold(layer.path, before[0], layer.epsilon))
    output = call(*given, **options)
    if layer.has_variable('params', 'kernel'):
      made.append((output, layer.path))
    return output

  shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (variables, inputs))
  with nn.intercept_methods(look):
    jax.eval_shape(lambda variables, inputs: module.apply(variables, *inputs), *shapes)
  layers = [path for _, path in made]
  for fold in found:
    if layers.count(fold.layer) > 1:
      raise UserError(f'{_named(module, fold.norm)} cannot be folded: the layer before it is used elsewhere, too')
  return found


def _shift_alone(
  call: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], context: nn.module.InterceptorContext
) -> Any:
  if not isinstance(context.module, BatchNorm) or context.method_name != '__call__':
    return call(*inputs, **options)
  x = inputs[0]
  y = x + context.module.get_variable('params', 'bias').astype(x.dtype)
  return relu(y) if context.module.rectify else y


def _norms_of(stats: Tree, above: Path = ()) -> list[Path]:
  """The paths of all BatchNorms that have statistics."""
  if 'mean' in stats:
    return [above]
  return [path for name, tree in stats.items() for path in _norms_of(tree, (*above, name))]


def _at(tree: Tree, path: Path) -> Any:
  for name in path:
    tree = tree[name]
  return tree


def _replaced(tree: Tree, path: Path, branch: Tree) -> dict[str, Any]:
  """A copy of the tree with another branch at a path."""
  return {**tree, path[0]: _replaced(tree[path[0]], path[1:], branch)} if path else dict(branch)


def _named(module: nn.Module, path: Path) -> str:
  return f'{type(module).__name__}/{"/".join(path)}'
