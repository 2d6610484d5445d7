"""What a step does with less memory: gradients in parts, and activations made twice instead of kept."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Gradient = Callable[[Any, Any], tuple[Any, Any]]  # (BatchNorm statistics, batch) -> (statistics, means over the batch)
KEPT = 'conv_general_dilated', 'dot_general', 'reduce_sum', 'reduce_max'


def in_parts(gradient: Gradient, parts: int) -> Gradient:
  """The same of a batch that is worked through in so many parts, one after the other, to hold the activations of one.

  What is returned beside the statistics is averaged over the parts. Statistics are handed from part to part, so
  BatchNorm normalises over a part, and a contrastive loss compares within one. The parts are interleaved: each is
  spread over all devices as the batch is, and none of it moves.
  """
  if parts == 1:
    return gradient

  def over_parts(batch_stats: Any, batch: Any) -> tuple[Any, Any]:
    def add(carry: Any, part: Any) -> tuple[Any, None]:
      statistics, total = carry
      statistics, results = gradient(statistics, part)
      return (statistics, jax.tree.map(jnp.add, total, results)), None

    interleaved = jax.tree.map(lambda x: x.reshape(len(x) // parts, parts, *x.shape[1:]).swapaxes(0, 1), batch)
    first = jax.tree.map(lambda x: x[0], interleaved)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(gradient, batch_stats, first)[1])
    (batch_stats, total), _ = lax.scan(add, (batch_stats, zeros), interleaved)
    return batch_stats, jax.tree.map(lambda x: x / parts, total)

  return over_parts


def rematerialised(objective: Callable[..., Any]) -> Callable[..., Any]:
  """The same function, whose gradient keeps the results of convolutions, products and sums, and makes the rest again.

  What is made again is cheap and touches one device alone: normalisation, gates, ReLUs, Fourier transforms. Sums are
  kept because those of BatchNorm are over all devices.
  """
  return jax.checkpoint(objective, policy=lambda primitive, *_, **__: primitive.name in KEPT)
