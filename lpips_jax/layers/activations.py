"""ReLUs whose gradient uses the output instead of the input: the output is stored anyway, as the next layer's input.

The gradients of `nn.relu` and `nn.leaky_relu` need the input, so a training step writes and reads each map once more.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

NEGATIVE_SLOPE = 0.01  # of Flax's leaky ReLU, and PyTorch's


@jax.custom_jvp
def relu(x: Float[Array, '*s']) -> Float[Array, '*s']:
  """max(x, 0); at 0 the gradient is 0."""
  return jnp.maximum(x, 0)


@relu.defjvp
def _relu_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
  y = relu(*primals)
  return y, jnp.where(y != 0, *tangents, 0)  # XLA would turn y > 0 into x > 0, and keep x


@jax.custom_jvp
def leaky_relu(x: Float[Array, '*s']) -> Float[Array, '*s']:
  """x, or 0.01 x where x is negative; at 0 the gradient is 1."""
  return jnp.where(x >= 0, x, NEGATIVE_SLOPE * x)


@leaky_relu.defjvp
def _leaky_relu_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
  y, [tangent] = leaky_relu(*primals), tangents
  return y, jnp.where(y >= 0, tangent, NEGATIVE_SLOPE * tangent)
