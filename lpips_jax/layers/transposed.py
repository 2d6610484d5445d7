"""Transposed convolution in the way that suits the device: GPUs and TPUs have kernels for it, CPUs have none."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

_LAYOUT = 'NHWC', 'HWIO', 'NHWC'


class TransposedConv(nn.Module):
  """`nn.ConvTranspose(features, (3, 3), (2, 2), padding=((1, 2), (1, 2)), use_bias=False)`: doubles both sides.

  It is PyTorch's ConvTranspose2d(3, stride=2, padding=1, output_padding=1) without bias, whose kernel is that of Flax,
  (3, 3, c, features), rotated by 180 degrees.
  """

  features: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n 2*h 2*w {self.features}']:
    shape = (3, 3, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    return transposed_conv(*nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype))


@jax.custom_vjp
def transposed_conv(x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c f']) -> Float[Array, 'n 2*h 2*w f']:
  """The convolution itself, of the kernel that Flax has."""
  return lax.platform_dependent(x, kernel, cpu=by_four_convs, default=by_gradient)


def _transposed_conv_fwd(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
  return transposed_conv(x, kernel), (x, kernel)


def _transposed_conv_bwd(residuals: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
  return lax.platform_dependent(*residuals, gradient, cpu=gradients_by_four_convs, default=gradients_by_gradient)


transposed_conv.defvjp(_transposed_conv_fwd, _transposed_conv_bwd)


def by_four_convs(x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c f']) -> Float[Array, 'n 2*h 2*w f']:
  """Convolves four times at the size of the input, once for each pixel of the 2x2 blocks that input pixels become.

  Each pixel of a block sees other taps: the middle ones in even rows and columns; the outer ones, on this input pixel
  and the next, in odd ones. For `by_gradient` a CPU would stuff the input with zeros, and multiply them.
  """
  even, odd = (slice(1, 2), (0, 0)), (slice(0, 3, 2), (0, 1))  # taps, and the padding that they need

  def pixels(rows: tuple[slice, tuple[int, int]], columns: tuple[slice, tuple[int, int]]) -> Array:
    taps = kernel[rows[0], columns[0]]
    return lax.conv_general_dilated(x, taps, (1, 1), (rows[1], columns[1]), dimension_numbers=_LAYOUT)

  y = jnp.stack([jnp.stack([pixels(rows, columns) for columns in (even, odd)], 3) for rows in (even, odd)], 2)
  return rearrange(y, 'n h p w q f -> n (h p) (w q) f')


def gradients_by_four_convs(
  x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c f'], gradient: Float[Array, 'n h2 w2 f']
) -> tuple[Float[Array, 'n h w c'], Float[Array, '3 3 c f']]:
  """Returns the gradients of `x` and `kernel`."""
  return jax.vjp(by_four_convs, x, kernel)[1](gradient)


def by_gradient(x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c f']) -> Float[Array, 'n 2*h 2*w f']:
  """Transposes a convolution of stride 2, which is to say, takes its gradient."""
  # Behind a barrier: XLA recognises a gradient by the rotated kernel, and uses cuDNN's kernel for it.
  kernel = lax.optimization_barrier(_rotated(kernel))
  y = jax.ShapeDtypeStruct((x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[2]), x.dtype)
  [grad_y] = jax.linear_transpose(partial(_strided_conv, kernel=kernel), y)(x)
  return grad_y


def gradients_by_gradient(
  x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c f'], gradient: Float[Array, 'n h2 w2 f']
) -> tuple[Float[Array, 'n h w c'], Float[Array, '3 3 c f']]:
  """Returns the gradients of `x` and `kernel`; JAX's own of a kernel has a form for which XLA has nothing but loops."""
  grad_x, pull = jax.vjp(partial(_strided_conv, gradient), _rotated(kernel))
  [grad_rotated] = pull(x)
  return grad_x, _rotated(grad_rotated)


def _strided_conv(y: Array, kernel: Array) -> Array:
  """(n, 2h, 2w, features) -> (n, h, w, c)."""
  return lax.conv_general_dilated(y, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=_LAYOUT)


def _rotated(kernel: Array) -> Array:
  """By 180 degrees, inputs and outputs exchanged."""
  return kernel[::-1, ::-1].swapaxes(2, 3)
