"""3x3 convolutions with a quarter of the multiplications, for networks that infer on a CPU.

Winograd's minimal filtering F(4x4, 3x3), as Lavin and Gray give it (arXiv 1509.09308, section 4.3): patches of 6x6
pixels and kernels are transformed, multiplied place by place, and transformed back to 4x4 outputs. 36 multiplications
do the work of 144, and the error in float32 is some ten times that of the direct way, 1e-5 of the greatest value. Where
matrix units do the multiplying, as on GPUs and TPUs, or where numbers are shorter, this gains nothing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lpips_jax.layers.shapes import AnyArray

TILE, PATCH = 4, 6  # sides in pixels: of an output tile, and of the input patch that it depends on
# B^T, G and A^T of the paper.
PATCH_TRANSFORM = np.array(
  [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
  ],
  np.float32,
)
KERNEL_TRANSFORM = np.array(
  [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
  ],
  np.float32,
)
OUTPUT_TRANSFORM = np.array(
  [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
  ],
  np.float32,
)
MIN_CHANNELS = 16  # with fewer, the transforms take longer than the multiplications
MAX_MAP_BYTES = 1 << 20  # of a map at once: what is made of it then stays in a core's cache, or nothing is gained


def transform_kernels(apply: Callable[..., Any], variables: Mapping[str, Any], *inputs: Any) -> dict[str, Any]:
  """Returns a network's variables with the kernels transformed of those convolutions that `intercept` can take over.

  Args:
    apply: called with variables and inputs.
    variables: from `lpips_jax.pretrained.folding.fold`.
    inputs: arrays or their shapes; the size of the batch may change afterwards, nothing else.
  """
  suited: list[tuple[str, ...]] = []

  def look(call: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], context: Any) -> Any:
    if isinstance(context.module, nn.Conv) and context.method_name == '__call__' and _suits(context.module, *inputs):
      suited.append(context.module.path)
    return call(*inputs, **options)

  with nn.intercept_methods(look):
    jax.eval_shape(apply, variables, *inputs)
  return {'params': _replaced(variables['params'], suited, transform_kernel)}


def intercept(
  call: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], context: nn.module.InterceptorContext
) -> Any:
  """Convolves with Winograd's algorithm where a kernel has been transformed; for `nn.intercept_methods`."""
  if not isinstance(context.module, nn.Conv) or context.method_name != '__call__':
    return call(*inputs, **options)
  kernel: Any = context.module.get_variable('params', 'kernel')
  bias: Any = context.module.get_variable('params', 'bias')
  if kernel.ndim != 3 or np.size(context.module.kernel_size) != 2:  # along time alone it has three axes anyway
    return call(*inputs, **options)
  y = convolve(jnp.pad(inputs[0], ((0, 0), *_padding(context.module), (0, 0))), kernel)
  return y if bias is None else y + bias


def convolve(x: Float[Array, 'n h w c'], kernel: Float[AnyArray, '36 c f']) -> Float[Array, 'n h-2 w-2 f']:
  """`jax.lax.conv_general_dilated(x, kernel, (1, 1), 'VALID')` of NHWC maps.

  Args:
    x: (n, h + 2, w + 2, c), h and w multiples of 4.
    kernel: (3, 3, c, f) as `transform_kernel` returns it.
  """
  n, height, width, channels = x.shape
  tiles = (height - 2) // TILE
  if x.size * 4 <= MAX_MAP_BYTES:
    return _convolve_at_once(x, kernel)
  # Images one by one, and large ones in strips.
  small_enough = (k for k in range(1, tiles) if tiles % k == 0 and x.size * 4 / n / k <= MAX_MAP_BYTES)
  strips = next(small_enough, tiles)
  rows = (height - 2) // strips

  def strip(number: Array) -> Array:
    start = number // strips, number % strips * rows, 0, 0
    return _convolve_at_once(jax.lax.dynamic_slice(x, start, (1, rows + 2, width, channels)), kernel)

  return jax.lax.map(strip, jnp.arange(n * strips)).reshape(n, height - 2, width - 2, -1)


@jax.jit  # traced once for all layers of a shape
def _convolve_at_once(x: Array, kernel: AnyArray) -> Array:
  n, height, width, channels = x.shape
  down, across = (height - 2) // TILE, (width - 2) // TILE
  rows = _combined(PATCH_TRANSFORM, [x[:, i : i + TILE * down - 3 : TILE] for i in range(PATCH)], 0)
  patches = _combined(PATCH_TRANSFORM, [rows[:, :, :, j : j + TILE * across - 3 : TILE] for j in range(PATCH)], 0)
  products = jnp.einsum('kpc,kcf->kpf', patches.reshape(PATCH * PATCH, -1, channels), kernel)
  products = jax.lax.optimization_barrier(products.reshape(PATCH, PATCH, n, down, across, -1))
  columns = _combined(OUTPUT_TRANSFORM, list(products), 4)
  return _combined(OUTPUT_TRANSFORM, list(columns), 2).reshape(n, TILE * down, TILE * across, -1)


def _combined(matrix: np.ndarray, parts: Sequence[Array], axis: int) -> Array:
  """The matrix times a list of arrays, stacked; behind a barrier, or XLA would compute it wherever it is read."""
  sums = [sum(factor * part for factor, part in zip(row, parts, strict=True) if factor) for row in matrix]
  return jax.lax.optimization_barrier(jnp.stack(sums, axis))


def transform_kernel(kernel: Float[AnyArray, '3 3 c f']) -> Float[np.ndarray, '36 c f']:
  """Returns a kernel for `convolve`; columns come before rows, as `_convolve_at_once` has them."""
  taps = np.asarray(kernel).transpose(1, 0, 2, 3).reshape(9, -1)
  return (np.kron(KERNEL_TRANSFORM, KERNEL_TRANSFORM) @ taps).reshape(PATCH * PATCH, *kernel.shape[2:])


def _suits(module: nn.Conv, x: AnyArray) -> bool:
  if module.kernel_size != (3, 3) or module.strides not in (1, (1, 1)):
    return False
  outputs = [size + sum(padding) - 2 for size, padding in zip(x.shape[1:3], _padding(module), strict=True)]
  return math.gcd(*outputs) % TILE == 0 and min(x.shape[-1], module.features) >= MIN_CHANNELS


def _padding(module: nn.Conv) -> Sequence[tuple[int, int]]:
  # Convolutions here have no other padding than pairs of numbers: see `lpips_jax.models.blocks`.
  return ((0, 0), (0, 0)) if module.padding == 'VALID' else cast(Sequence[tuple[int, int]], module.padding)


def _replaced(
  tree: Mapping[str, Any], paths: Sequence[tuple[str, ...]], change: Callable[[Any], Any]
) -> dict[str, Any]:
  """The tree with the kernels at these paths changed."""
  branches = {name: [path[1:] for path in paths if path and path[0] == name] for name in tree}
  replaced = {name: _replaced(tree[name], branches[name], change) if branches[name] else tree[name] for name in tree}
  return replaced | ({'kernel': change(tree['kernel'])} if () in paths else {})
