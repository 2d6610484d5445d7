"""Max pooling whose gradient is fast on CPUs."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def max_pool(x: Float[Array, 'n h w c']) -> Float[Array, 'n h//2 w//2 c']:
  """`nn.max_pool(x, (2, 2), (2, 2))`: an odd last row or column is dropped.

  Equal pixels share the gradient, of which Flax gives the first one all.

  It takes maxima of slices instead of `reduce_window`, whose gradient takes LPIPS a third longer on CPU (83 against
  54 ms for 20 frames of 64 pixels at an eighth of the width).
  """
  h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
  rows = jnp.maximum(x[:, 0:h:2, :w], x[:, 1:h:2, :w])
  return jnp.maximum(rows[:, :, 0::2], rows[:, :, 1::2])
