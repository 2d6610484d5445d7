"""3x3 convolutions with a quarter of the multiplications, for networks that infer on a CPU.

Winograd's minimal filtering F(4x4, 3x3), as Lavin and Gray give it (arXiv 1509.09308, section 4.3): patches of 6x6
pixels and kernels are transformed, multiplied place by place, and transformed back to 4x4 outputs. 36 multiplications
do the work of 144, and the error in float32 is some ten times that of the direct way, 1e-5 of the greatest value. Where
matrix units do the multiplying, as on GPUs and TPUs, or where numbers are shorter, this gains nothing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

TILE, PATCH = 4, 6  # pixels of output, and of the input that they depend on
OF_PATCHES = np.array(
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
OF_KERNELS = np.array(
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
OF_PRODUCTS = np.array(
  [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
  ],
  np.float32,
)
FEWEST_CHANNELS = 16  # with fewer, the transforms take longer than the multiplications
CACHED = 1 << 20  # bytes of a map; what becomes of it then stays in a core's cache, without which nothing is gained


def transform_kernels(apply: Callable[..., Any], variables: Mapping[str, Any], *inputs: Any) -> dict[str, Any]:
  """Returns a network's variables with the kernels of those convolutions transformed that `instead` can take over.

  Args:
    apply: of variables and inputs.
    variables: of `lpips_jax.pretrained.folding.fold`.
    inputs: arrays or their shapes; others may differ from them in the size of the batch.
  """
  suited = []

  def look(call: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any], context: Any) -> Any:
    if isinstance(context.module, nn.Conv) and context.method_name == '__call__' and _suits(context.module, *arguments):
      suited.append(context.module.path)
    return call(*arguments, **options)

  with nn.intercept_methods(look):
    jax.eval_shape(apply, variables, *inputs)
  return {'params': _replaced(variables['params'], suited, transform_kernel)}


def instead(
  call: Callable[..., Any], inputs: tuple[Any, ...], options: dict[str, Any], context: nn.module.InterceptorContext
) -> Any:
  """For `nn.intercept_methods`: convolves in this way where a kernel has been transformed."""
  if not isinstance(context.module, nn.Conv) or context.method_name != '__call__':
    return call(*inputs, **options)
  kernel, bias = (context.module.get_variable('params', name) for name in ('kernel', 'bias'))
  if kernel.ndim != 3:
    return call(*inputs, **options)
  y = convolve(jnp.pad(inputs[0], ((0, 0), *_padding(context.module), (0, 0))), kernel)
  return y if bias is None else y + bias


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """A convolution without padding: (n, h + 2, w + 2, c), (36, c, features) -> (n, h, w, features).

  Args:
    x: h and w are multiples of 4.
    kernel: (3, 3, c, features), transformed.
  """
  n, height, width, channels = x.shape
  tiles = (height - 2) // TILE
  if x.size * 4 <= CACHED:
    return _convolve_at_once(x, kernel)
  # Images one by one, and of large ones strips.
  strips = next(k for k in range(1, tiles + 1) if tiles % k == 0 and (x.size * 4 / n / k <= CACHED or k == tiles))
  rows = (height - 2) // strips

  def strip(number: jax.Array) -> jax.Array:
    start = number // strips, number % strips * rows, 0, 0
    return _convolve_at_once(jax.lax.dynamic_slice(x, start, (1, rows + 2, width, channels)), kernel)

  return jax.lax.map(strip, jnp.arange(n * strips)).reshape(n, height - 2, width - 2, -1)


@jax.jit  # traced once for all layers of a shape
def _convolve_at_once(x: jax.Array, kernel: jax.Array) -> jax.Array:
  n, height, width, channels = x.shape
  down, across = (height - 2) // TILE, (width - 2) // TILE
  rows = _combined(OF_PATCHES, [x[:, i : i + TILE * down - 3 : TILE] for i in range(PATCH)], 0)
  patches = _combined(OF_PATCHES, [rows[:, :, :, j : j + TILE * across - 3 : TILE] for j in range(PATCH)], 0)
  products = jnp.einsum('kpc,kcf->kpf', patches.reshape(PATCH * PATCH, -1, channels), kernel)
  products = jax.lax.optimization_barrier(products.reshape(PATCH, PATCH, n, down, across, -1))
  columns = _combined(OF_PRODUCTS, list(products), 4)
  return _combined(OF_PRODUCTS, list(columns), 2).reshape(n, TILE * down, TILE * across, -1)


def _combined(matrix: np.ndarray, parts: Sequence[jax.Array], axis: int) -> jax.Array:
  """The matrix times a list of arrays, stacked; kept apart, or XLA would make it anew wherever it is read."""
  sums = [sum(factor * part for factor, part in zip(row, parts, strict=True) if factor) for row in matrix]
  return jax.lax.optimization_barrier(jnp.stack(sums, axis))


def transform_kernel(kernel: jax.Array) -> np.ndarray:
  """(3, 3, c, features) -> (36, c, features); columns before rows, as `_convolve_at_once` has them."""
  taps = np.asarray(kernel).transpose(1, 0, 2, 3).reshape(9, -1)
  return (np.kron(OF_KERNELS, OF_KERNELS) @ taps).reshape(PATCH * PATCH, *kernel.shape[2:])


def _suits(module: nn.Conv, x: jax.ShapeDtypeStruct) -> bool:
  if tuple(module.kernel_size) != (3, 3) or module.strides not in (1, (1, 1)):
    return False
  outputs = [size + sum(padding) - 2 for size, padding in zip(x.shape[1:3], _padding(module), strict=True)]
  return math.gcd(*outputs) % TILE == 0 and min(x.shape[-1], module.features) >= FEWEST_CHANNELS


def _padding(module: nn.Conv) -> Sequence[tuple[int, int]]:
  return ((0, 0), (0, 0)) if module.padding == 'VALID' else module.padding


def _replaced(
  tree: Mapping[str, Any], paths: Sequence[tuple[str, ...]], change: Callable[[Any], Any]
) -> dict[str, Any]:
  """The tree with the kernels at these paths changed."""
  branches = {name: [path[1:] for path in paths if path and path[0] == name] for name in tree}
  replaced = {name: _replaced(tree[name], branches[name], change) if branches[name] else tree[name] for name in tree}
  return replaced | ({'kernel': change(tree['kernel'])} if () in paths else {})
