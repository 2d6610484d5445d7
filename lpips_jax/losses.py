"""The losses: pure and one value per example; the train step takes the mean."""

import jax
import jax.numpy as jnp
import optax

MAX_SYNC_LOSS = 100.0  # PyTorch's binary cross-entropy clamps its logarithm there


def reconstruction(generated: jax.Array, target: jax.Array) -> jax.Array:
  """L1: the mean absolute difference over the whole frame, (*b, h, w, c) twice -> (*b,)."""
  return jnp.abs(generated - target).mean((-3, -2, -1))


def squared_error(generated: jax.Array, target: jax.Array) -> jax.Array:
  """The mean squared difference, (*b, h, w, c) twice -> (*b,). Unlike L1 it pulls hardest where most is wrong."""
  return jnp.square(generated - target).mean((-3, -2, -1))


def sync(logits: jax.Array) -> jax.Array:
  """-log p, p = sigmoid(logits) the expert's probability of being in sync: any shape, in [0, 100]."""
  return jnp.minimum(jax.nn.softplus(-logits), MAX_SYNC_LOSS)


def contrastive(logits: jax.Array, clip: jax.Array, start: jax.Array, minimum_offset: int = 3) -> jax.Array:
  """InfoNCE in both directions: which of all windows of speech belongs to these frames, and the reverse.

  Args:
    logits: (n, n); entry i, j is the expert's log-odds that the frames of window i go with the speech of window j.
    clip: (n,) int: which clip each window is from.
    start: (n,) int: its first frame.
    minimum_offset: windows of one clip closer than this, in frames, sound nearly the same and are left out.

  Returns:
    (n,): the mean of the two cross-entropies of each window; ln n when nothing is learnt (van den Oord et al., eq. 4).
  """
  logits = jnp.where(_ambiguous(clip, start, minimum_offset), -jnp.inf, logits)
  labels = jnp.arange(len(logits))
  to_speech = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
  to_faces = optax.softmax_cross_entropy_with_integer_labels(logits.T, labels)
  return (to_speech + to_faces) / 2


def balanced_bce(logits: jax.Array, clip: jax.Array, start: jax.Array, minimum_offset: int = 3) -> jax.Array:
  """Binary cross-entropy of "in sync" with as many pairs of either kind: the classic expert's loss.

  A window's own speech is the positive; speech of the same clip at least `minimum_offset` frames away, on average, the
  negative. Arguments as for `contrastive`.

  Returns:
    (n,): ln 2 when nothing is learnt, about 0.25 for a well-trained expert. A window without any negative in the batch
    counts its positive alone.
  """
  same_clip = clip[:, None] == clip
  negative = same_clip & (jnp.abs(start[:, None] - start) >= minimum_offset)
  count = negative.sum(-1)
  in_sync = jax.nn.softplus(-jnp.diagonal(logits))
  off_sync = jnp.where(negative, jax.nn.softplus(logits), 0).sum(-1) / jnp.maximum(count, 1)
  return jnp.where(count > 0, (in_sync + off_sync) / 2, in_sync)


def _ambiguous(clip: jax.Array, start: jax.Array, minimum_offset: int) -> jax.Array:
  """(n, n) bool: neighbours in the same clip, but not the window itself."""
  near = (clip[:, None] == clip) & (jnp.abs(start[:, None] - start) < minimum_offset)
  return near & ~jnp.eye(len(clip), dtype=bool)
