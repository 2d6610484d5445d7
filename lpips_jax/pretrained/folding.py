"""BatchNorm folded into the layers before it: the same function of an image, with less to compute.

With running statistics, BatchNorm is a scale and a shift per channel. The scale goes into the kernel of the preceding
convolution or dense layer; only the shift remains of BatchNorm. Tracing the network finds the preceding layer, so that
nothing depends on names. Parts that training alone uses, the module's `training_modules`, are left out.
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
  """A BatchNorm and the layer that takes its scale.

  Attributes:
    norm: the path of the BatchNorm.
    layer: the path of the layer whose output it normalises.
    epsilon: what it adds to the variance.
  """

  norm: Path
  layer: Path
  epsilon: float


def fold(module: nn.Module, variables: Tree, *inputs: Any) -> dict[str, Any]:
  """Returns a network's variables without BatchNorm, for `apply`: only `params`, in float32.

  Args:
    module: the network.
    variables: its `params` and `batch_stats`, NumPy or JAX arrays; the result has the same kind. NumPy takes a tenth of
      the time, as nothing is compiled.
    inputs: arrays that it could be called with, or their shapes.

  Raises:
    UserError: no layer of its own comes right before some BatchNorm, so that nothing could take its scale.
  """
  variables = without_training_modules(module, variables)
  folds = _find_folds(module, variables, inputs)
  unused = {*_paths_of_norms(variables.get('batch_stats', {}))} - {fold.norm for fold in folds}
  if unused:
    raise UserError(f'{_full_name(module, min(unused))} cannot be folded: the network never calls it')
  params = variables['params']
  for norm, layer, epsilon in folds:
    mean, var = (_at(variables['batch_stats'], norm)[name] for name in ('mean', 'var'))
    scale = _at(params, norm)['scale'] / (var + epsilon) ** 0.5  # NumPy arrays stay NumPy arrays
    shift = _at(params, norm)['bias'] - mean * scale
    scaled = {name: weights * scale for name, weights in _at(params, layer).items()}  # channels are the last axis
    params = _replaced(_replaced(params, layer, scaled), norm, {'bias': shift})
  return {'params': params}


def without_training_modules(module: nn.Module, variables: Tree) -> dict[str, Any]:
  """Returns a network's variables without those of the parts that training alone uses: its `training_modules`."""
  spare = getattr(module, 'training_modules', ())
  return {
    kind: {name: tree for name, tree in of_kind.items() if name not in spare} for kind, of_kind in variables.items()
  }


def apply(module: nn.Module, variables: Tree, *inputs: jax.Array, **options: Any) -> Any:
  """Calls `module.apply` with variables from `fold`, also with kernels from `winograd.transform_kernels`."""
  with nn.intercept_methods(_only_shift), nn.intercept_methods(winograd.intercept):
    return module.apply(variables, *inputs, **options)


def _find_folds(module: nn.Module, variables: Tree, inputs: tuple[Any, ...]) -> list[Fold]:
  """Traces the network and returns every BatchNorm with its layer; raises UserError for one that cannot be folded."""
  outputs: list[tuple[Any, Path]] = []  # of layers with a kernel
  found: list[Fold] = []

  def record(call: Callable[..., Any], given: tuple[Any, ...], options: dict[str, Any], context: Any) -> Any:
    layer = context.module
    if context.method_name != '__call__':
      return call(*given, **options)
    if isinstance(layer, BatchNorm):
      before = [path for output, path in outputs if output is given[0]]
      if not before:
        raise UserError(f'{_full_name(module, layer.path)} cannot be folded: no convolution comes right before it')
      found.append(Fold(layer.path, before[0], layer.epsilon))
    output = call(*given, **options)
    if layer.has_variable('params', 'kernel'):
      outputs.append((output, layer.path))
    return output

  shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (variables, inputs))
  with nn.intercept_methods(record):
    jax.eval_shape(lambda variables, inputs: module.apply(variables, *inputs), *shapes)
  layers = [path for _, path in outputs]
  for fold in found:
    if layers.count(fold.layer) > 1:
      raise UserError(f'{_full_name(module, fold.norm)} cannot be folded: the layer before it is used elsewhere, too')
  return found


def _only_shift(
  call: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], context: nn.module.InterceptorContext
) -> Any:
  """For `nn.intercept_methods`: adds a BatchNorm's bias, all that `fold` has left of it."""
  if not isinstance(context.module, BatchNorm) or context.method_name != '__call__':
    return call(*inputs, **options)
  x = inputs[0]
  y = x + context.module.get_variable('params', 'bias').astype(x.dtype)
  return relu(y) if context.module.rectify else y


def _paths_of_norms(stats: Tree, above: Path = ()) -> list[Path]:
  """Returns the paths of all BatchNorms that have statistics."""
  if 'mean' in stats:
    return [above]
  return [path for name, tree in stats.items() for path in _paths_of_norms(tree, (*above, name))]


def _at(tree: Tree, path: Path) -> Any:
  for name in path:
    tree = tree[name]
  return tree


def _replaced(tree: Tree, path: Path, branch: Tree) -> dict[str, Any]:
  """Returns a copy of the tree with another branch at a path."""
  return {**tree, path[0]: _replaced(tree[path[0]], path[1:], branch)} if path else dict(branch)


def _full_name(module: nn.Module, path: Path) -> str:
  return f'{type(module).__name__}/{"/".join(path)}'
