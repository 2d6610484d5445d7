"""Transposed convolution, in the way that suits the device: GPUs and TPUs have kernels for it, CPUs have none."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jax import lax

_LAYOUT = 'NHWC', 'HWIO', 'NHWC'


class TransposedConv(nn.Module):
  """PyTorch's ConvTranspose2d(3, stride=2, padding=1, output_padding=1) without bias.

  (n, h, w, c) -> (n, 2h, 2w, features). The kernel, (3, 3, c, features), is `nn.ConvTranspose`'s: PyTorch's, turned by
  180 degrees.
  """

  features: int
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    shape = (3, 3, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    return transposed_conv(*nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype))


@jax.custom_vjp
def transposed_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """(n, h, w, c), (3, 3, c, features) -> (n, 2h, 2w, features)."""
  return lax.platform_dependent(x, kernel, cpu=by_four_convs, default=by_gradient)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  return transposed_conv(x, kernel), (x, kernel)


def _backward(kept: tuple[jax.Array, jax.Array], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
  return lax.platform_dependent(*kept, gradient, cpu=gradients_by_four_convs, default=gradients_by_gradient)


transposed_conv.defvjp(_forward, _backward)


def by_four_convs(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """Each input pixel gives a 2x2 block of output pixels, of which each sees other taps.

  The middle ones in even rows and columns, the outer ones, on it and on the next pixel, in odd ones. A CPU would stuff
  the input with zeros for `by_gradient`, and multiply them.
  """
  even, odd = (slice(1, 2), (0, 0)), (slice(0, 3, 2), (0, 1))  # taps, and the padding that they need

  def pixels(rows: tuple[slice, tuple[int, int]], columns: tuple[slice, tuple[int, int]]) -> jax.Array:
    taps = kernel[rows[0], columns[0]]
    return lax.conv_general_dilated(x, taps, (1, 1), (rows[1], columns[1]), dimension_numbers=_LAYOUT)

  y = jnp.stack([jnp.stack([pixels(rows, columns) for columns in (even, odd)], 3) for rows in (even, odd)], 2)
  return rearrange(y, 'n h p w q f -> n (h p) (w q) f')


def gradients_by_four_convs(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Those of `x` and `kernel`."""
  return jax.vjp(by_four_convs, x, kernel)[1](gradient)


def by_gradient(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """The gradient of a convolution of stride 2."""
  # Behind a barrier: it is by a kernel's being turned that XLA sees a gradient, and uses cuDNN's kernel for it.
  kernel = lax.optimization_barrier(_turned(kernel))
  y = jax.ShapeDtypeStruct((x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]), x.dtype)
  [of_y] = jax.linear_transpose(partial(_strided_conv, kernel=kernel), y)(x)
  return of_y


def gradients_by_gradient(x: jax.Array, kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Those of `x` and `kernel`; JAX's own gradient of a kernel is of a form for which XLA has nothing but loops."""
  of_x, pull = jax.vjp(partial(_strided_conv, gradient), _turned(kernel))
  [of_turned] = pull(x)
  return of_x, _turned(of_turned)


def _strided_conv(y: jax.Array, kernel: jax.Array) -> jax.Array:
  """(n, 2h, 2w, features) -> (n, h, w, c)."""
  return lax.conv_general_dilated(y, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=_LAYOUT)


def _turned(kernel: jax.Array) -> jax.Array:
  """By 180 degrees, inputs and outputs exchanged."""
  return kernel[::-1, ::-1].swapaxes(2, 3)
