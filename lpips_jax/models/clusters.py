"""K-means of whatever passes by: centroids that follow the batches, kept beside BatchNorm's statistics."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from lpips_jax.layers.precision import full_precision
from lpips_jax.layers.shapes import AnyArray

MOMENTUM = 0.98
LEAST_SHARE = 0.05  # of the mean share; a centroid with less begins anew


class Clusters(nn.Module):
  """vectors (n, t, d) -> the number of the nearest centroid, (n, t) int32.

  In training each centroid moves towards the mean of what is nearest to it (Sculley, "Web-scale k-means clustering",
  WWW 2010, with a share of the past that is forgotten). One to which next to nothing is near, at first all, begins
  anew as one of the batch's vectors. Nothing is drawn, and there is no gradient.

  Attributes:
    number: of centroids.
  """

  number: int

  @nn.compact
  def __call__(
    self, x: Float[AnyArray, 'n t d'], real: Bool[AnyArray, 'n t'] | None = None, train: bool = False
  ) -> Int[Array, 'n t']:
    """Returns the clusters; `real` marks the vectors that are no padding, None for all."""
    vectors = jax.lax.stop_gradient(jnp.asarray(x, jnp.float32)).reshape(-1, x.shape[-1])
    counted = jnp.ones(len(vectors), bool) if real is None else jnp.asarray(real).reshape(-1)
    centroids = self.variable('batch_stats', 'centroids', jnp.zeros, (self.number, x.shape[-1]))
    share = self.variable('batch_stats', 'share', jnp.zeros, (self.number,))
    if train and not self.is_initializing():
      # In spread-out places of the batch, so that neighbours in time do not become several centroids.
      places = jnp.argsort(~counted, stable=True)[jnp.arange(self.number) * counted.sum() // self.number]
      anew = share.value < LEAST_SHARE / self.number
      start = jnp.where(anew[:, None], vectors[places], centroids.value)
      before = jnp.where(anew, 1 / self.number, share.value)
      chosen = jax.nn.one_hot(nearest(vectors, start), self.number) * counted[:, None]
      weights = (1 - MOMENTUM) * chosen / jnp.maximum(counted.sum(), 1)
      after = MOMENTUM * before + weights.sum(0)
      moved = full_precision(jnp.matmul)(weights.T, vectors) + MOMENTUM * before[:, None] * start
      centroids.value, share.value = moved / after[:, None], after
    return nearest(vectors, centroids.value).reshape(x.shape[:2])


@full_precision
def nearest(vectors: Float[AnyArray, 'n d'], centroids: Float[AnyArray, 'k d']) -> Int[Array, ' n']:
  """Returns the number of the centroid that is nearest to each vector."""
  return jnp.argmin(jnp.square(centroids).sum(-1) - 2 * vectors @ centroids.T, -1)
