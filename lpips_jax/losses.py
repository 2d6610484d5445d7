"""The losses: pure and one value per example; the train step takes the mean."""

import jax
import jax.numpy as jnp
import optax

MAX_SYNC_LOSS = 100.0  # PyTorch's binary cross-entropy clamps its logarithm there
LEAST_GAP = 1e-3  # between truth and reference: what is nearer is taken to be so far
SYNC_EPSILON = 1e-4
TRIPLET_MARGIN = 0.5


def reconstruction(generated: jax.Array, target: jax.Array) -> jax.Array:
  """L1: the mean absolute difference over the whole frame, (*b, h, w, c) twice -> (*b,)."""
  return jnp.abs(generated - target).mean((-3, -2, -1))


def squared_error(generated: jax.Array, target: jax.Array) -> jax.Array:
  """The mean squared difference, (*b, h, w, c) twice -> (*b,). Unlike L1 it pulls hardest where most is wrong."""
  return jnp.square(generated - target).mean((-3, -2, -1))


def sync(logits: jax.Array) -> jax.Array:
  """-log p, p = sigmoid(logits) the expert's probability of being in sync: any shape, in [0, 100].

  Of a classic expert it is at most 16.1, as its log-odds are those of p = 1e-7 and more.
  """
  return jnp.minimum(jax.nn.softplus(-logits), MAX_SYNC_LOSS)


def stabilised_sync(x: jax.Array, y: jax.Array, d: jax.Array) -> jax.Array:
  """How far generated mouths are from scoring as the true ones do, relative to how far those of the reference are.

  An expert is unsure of many true mouths, too: where `sync` asks for ever more, this is least where the generated mouth
  scores as the true one does. The nearer the reference is to that already, the dearer is what is left (Yaman et al.,
  arXiv 2307.09368):

    L = -log(1 - (|x - y| + e) / (|x - y| + |y - d| + e)) = log(|x - y| + |y - d| + e) - log |y - d|

  with e = 1e-4 and |y - d| at least 1e-3, for a reference that scores as the truth does would make it infinite.

  Args:
    x: the cosine of generated mouths and speech, any shape.
    y: of the true mouths and that speech.
    d: of the mouths that the generator was shown and that speech.

  Returns:
    Of that shape, from about e / |y - d|, where x = y, to 7.6. Its slope in x is at most 1 / 1.1e-3; there is none in y
    and d.
  """
  y, d = jax.lax.stop_gradient((y, d))
  gap = jnp.maximum(jnp.abs(y - d), LEAST_GAP)
  return jnp.log(jnp.abs(x - y) + gap + SYNC_EPSILON) - jnp.log(gap)


def adaptive_triplet(
  generated: jax.Array, target: jax.Array, reference: jax.Array, margin: float = TRIPLET_MARGIN
) -> jax.Array:
  """What mouths pay that are not nearer to the true ones than to those of the reference.

  With D the distance of features of unit length and c the cosine of target and reference,
  L = max(0, D(generated, target) - D(generated, reference) + margin (1 - c)): the less target and reference differ, the
  less is asked for. It is 0 where generated = target. That the triplet adapts is Yaman et al.'s (arXiv 2307.09368); how
  it does is chosen here.

  Args:
    generated, target, reference: feature maps (*b, h, w, c), none negative, such as a layer of VGG's.
    margin: for a reference that is nothing like the target.

  Returns:
    (*b,), from 0 to sqrt(2) + margin. Target and reference have no gradient.
  """
  anchor, positive, negative = (_of_unit_length(x) for x in (generated, *jax.lax.stop_gradient((target, reference))))
  alike = (positive * negative).sum((-3, -2, -1))
  return jax.nn.relu(_distance(anchor, positive) - _distance(anchor, negative) + margin * (1 - alike))


def adversarial(generated: jax.Array, kind: str) -> jax.Array:
  """What the generator pays for frames that the discriminator does not take to be filmed.

  Args:
    generated: the discriminator's log-odds of generated frames, any shape.
    kind: 'bce', -log of the probability of being filmed (Goodfellow et al., arXiv 1406.2661, section 3, the variant
      that does not saturate), or 'hinge', minus the log-odds (Lim and Ye, arXiv 1705.02894).
  """
  return {'bce': jax.nn.softplus, 'hinge': lambda x: x}[kind](-generated)


def discrimination(filmed: jax.Array, generated: jax.Array, kind: str) -> jax.Array:
  """What the discriminator pays for taking one for the other: log-odds of one shape, and of that shape the loss.

  For 'bce' 2 ln 2, for 'hinge' 2, when it can tell nothing.
  """
  penalty = {'bce': jax.nn.softplus, 'hinge': lambda x: jax.nn.relu(1 + x)}[kind]
  return penalty(-filmed) + penalty(generated)


def r1(gradient: jax.Array) -> jax.Array:
  """The squared length of the discriminator's gradient at filmed frames, (n, h, w, c) -> (n,).

  It keeps the discriminator from growing ever steeper (Mescheder et al., arXiv 1801.04406, eq. 9, without gamma / 2).
  """
  return jnp.square(gradient).sum((-3, -2, -1))


def contrastive(
  logits: jax.Array, clip: jax.Array, start: jax.Array, minimum_offset: int = 3, negatives: str = 'batch'
) -> jax.Array:
  """InfoNCE in both directions: which of all windows of speech belongs to these frames, and the reverse.

  Args:
    logits: (n, n); entry i, j is the expert's log-odds that the frames of window i go with the speech of window j.
    clip: (n,) int: which clip each window is from.
    start: (n,) int: its first frame.
    minimum_offset: windows of one clip closer than this, in frames, sound nearly the same and are left out.
    negatives: 'batch', all windows; or 'clip', those of the same clip, which no voice tells from one another.

  Returns:
    (n,): the mean of the two cross-entropies of each window; ln n when nothing is learnt (van den Oord et al., eq. 4).
  """
  logits = jnp.where(_ambiguous(clip, start, minimum_offset), -jnp.inf, logits)
  if negatives == 'clip':
    logits = jnp.where(clip[:, None] == clip, logits, -jnp.inf)
  labels = jnp.arange(len(logits))
  to_speech = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
  to_faces = optax.softmax_cross_entropy_with_integer_labels(logits.T, labels)
  return (to_speech + to_faces) / 2


def balanced_bce(
  logits: jax.Array, clip: jax.Array, start: jax.Array, minimum_offset: int = 3, hardness: jax.Array | float = 0.0
) -> jax.Array:
  """Binary cross-entropy of "in sync" with as many pairs of either kind: the classic expert's loss.

  A window's own speech is the positive; speech of the same clip at least `minimum_offset` frames away, on average, the
  negative. Arguments as for `contrastive`, and:

    hardness: 0 takes the plain average of a window's negatives; more weighs each with exp(hardness * logits), so that
      those that pass for in sync count most (as in Robinson et al., arXiv 2010.04592, eq. 4).

  Returns:
    (n,): ln 2 when nothing is learnt, about 0.25 for a well-trained expert. A window without any negative in the batch
    counts its positive alone.
  """
  same_clip = clip[:, None] == clip
  negative = same_clip & (jnp.abs(start[:, None] - start) >= minimum_offset)
  in_sync = jax.nn.softplus(-jnp.diagonal(logits))
  weight = jax.lax.stop_gradient(jax.nn.softmax(hardness * logits, where=negative, axis=-1))
  off_sync = (weight * jax.nn.softplus(logits)).sum(-1)
  return jnp.where(negative.any(-1), (in_sync + off_sync) / 2, in_sync)


def trust(logits: jax.Array, windows: int, exponent: float) -> jax.Array:
  """How much each window counts: as much as its clip is taken to be in sync, so that clips that are not are let go.

  An expert learns what most clips have in common long before it learns by heart how far each is off: what it makes of a
  clip on the way tells good ones from shifted ones (self-paced learning, Kumar et al., NIPS 2010, with soft weights).

  Args:
    logits: (n, n), as for `contrastive`; the windows of a clip follow each other.
    windows: how many there are of each clip.
    exponent: 1 weighs clips by the mean log-odds of their windows, as a probability; 0 all alike.

  Returns:
    (n,) of mean 1, without a gradient.
  """
  in_sync = jax.nn.log_sigmoid(jnp.diagonal(logits).reshape(-1, windows).mean(-1))
  weight = jax.nn.softmax(exponent * in_sync) * len(in_sync)
  return jax.lax.stop_gradient(jnp.repeat(weight, windows))


def _of_unit_length(x: jax.Array) -> jax.Array:
  return x * jax.lax.rsqrt(jnp.square(x).sum((-3, -2, -1), keepdims=True) + 1e-12)


def _distance(x: jax.Array, y: jax.Array) -> jax.Array:
  """With a finite gradient where both are the same."""
  return jnp.sqrt(jnp.square(x - y).sum((-3, -2, -1)) + 1e-12)


def _ambiguous(clip: jax.Array, start: jax.Array, minimum_offset: int) -> jax.Array:
  """(n, n) bool: neighbours in the same clip, but not the window itself."""
  near = (clip[:, None] == clip) & (jnp.abs(start[:, None] - start) < minimum_offset)
  return near & ~jnp.eye(len(clip), dtype=bool)
