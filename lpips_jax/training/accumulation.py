"""Less memory for a step: gradients accumulated over micro-batches, and activations recomputed instead of stored."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

Result = TypeVar('Result')
Gradient = Callable[[Any, Any], tuple[Any, Result]]  # (BatchNorm statistics, batch) -> (statistics, means)
STORED = 'conv_general_dilated', 'dot_general', 'reduce_sum', 'reduce_max'  # primitives


def in_parts(gradient: Gradient[Result], parts: int) -> Gradient[Result]:
  """Gradient accumulation: runs `gradient` on `parts` micro-batches, one after the other, and averages.

  Only the activations of one micro-batch are held at a time. The statistics are handed from one to the next, so
  BatchNorm normalises over a micro-batch, and a contrastive loss compares within one. The micro-batches are
  interleaved: each is spread over all devices as the batch is, and none of it moves. A batch may hold clips beside
  windows, as many of each clip, one clip's after the other's.
  """
  if parts == 1:
    return gradient

  def over_parts(batch_stats: Any, batch: Any) -> tuple[Any, Result]:
    def add(carry: Any, part: Any) -> tuple[Any, None]:
      statistics, total = carry
      statistics, results = gradient(statistics, part)
      return (statistics, jax.tree.map(jnp.add, total, results)), None

    interleaved = jax.tree.map(partial(_interleaved, parts=parts, clips=min(map(len, jax.tree.leaves(batch)))), batch)
    first = jax.tree.map(lambda x: x[0], interleaved)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(gradient, batch_stats, first)[1])
    (batch_stats, total), _ = lax.scan(add, (batch_stats, zeros), interleaved)
    return batch_stats, jax.tree.map(lambda x: x / parts, total)

  return over_parts


def _interleaved(x: jax.Array, parts: int, clips: int) -> jax.Array:
  """Splits an array into micro-batches, (parts, …); windows of one clip stay together."""
  whole = x.reshape(clips // parts, parts, -1, *x.shape[1:]).swapaxes(0, 1)
  return whole.reshape(parts, -1, *x.shape[1:])


def rematerialised(loss: Callable[..., Result]) -> Callable[..., Result]:
  """The same function, whose gradient stores the results of convolutions, products and sums, and recomputes the rest.

  The rest is cheap and stays on one device: normalisation, gates, ReLUs, Fourier transforms. Sums are stored because
  those of BatchNorm are over all devices.
  """
  return jax.checkpoint(loss, policy=lambda primitive, *_, **__: primitive.name in STORED)
