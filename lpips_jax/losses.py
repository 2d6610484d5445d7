"""The losses: pure functions, one value per example; the train step takes the mean."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from lpips_jax.layers.normalisation import unit_length
from lpips_jax.layers.precision import at_least_float32, full_precision
from lpips_jax.layers.shapes import AnyArray

OF_CLIPS = 'reading', 'av_sync', 'frame_contrast'  # those of a generator that look at windows in their whole clips
MAX_SYNC_LOSS = 100.0  # PyTorch's binary cross-entropy clamps its logarithm there
SYNC_EPSILON = 1e-4
MIN_SYNC_GAP = 1e-3  # between the cosines of truth and reference, however near they are
TRIPLET_MARGIN = 0.5


def reconstruction(generated: Float[AnyArray, '*b h w c'], target: Float[AnyArray, '*b h w c']) -> Float[Array, '*b']:
  """L1: the mean absolute difference over the whole frame."""
  return jnp.abs(generated - target).mean((-3, -2, -1))


def squared_error(generated: Float[AnyArray, '*b h w c'], target: Float[AnyArray, '*b h w c']) -> Float[Array, '*b']:
  """The mean squared difference. Unlike L1 it pulls hardest where most is wrong."""
  return jnp.square(generated - target).mean((-3, -2, -1))


def sync(logits: Float[AnyArray, '*b']) -> Float[Array, '*b']:
  """-log p in [0, 100], p = sigmoid(logits) the expert's probability of being in sync.

  For a classic expert it is at most 16.1, as its log-odds are those of p = 1e-7 and more.
  """
  return jnp.minimum(jax.nn.softplus(-logits), MAX_SYNC_LOSS)


def stabilised_sync(x: Float[AnyArray, '*b'], y: Float[AnyArray, '*b'], d: Float[AnyArray, '*b']) -> Float[Array, '*b']:
  """The distance of generated mouths from scoring as the true ones do, relative to that of the reference's mouths.

  An expert is unsure of many true mouths, too: `sync` asks for ever more, while this loss is least where the generated
  mouth scores as the true one does. The nearer the reference already is to that, the more the rest costs (Yaman et al.,
  arXiv 2307.09368):

    L = -log(1 - (|x - y| + e) / (|x - y| + |y - d| + e)) = log(|x - y| + |y - d| + e) - log |y - d|

  with e = 1e-4, and |y - d| at least 1e-3, because a reference that scores as the truth does would make it infinite.

  Args:
    x: the cosine of generated mouths and speech.
    y: the cosine of the true mouths and that speech.
    d: the cosine of the mouths that the generator was shown and that speech.

  Returns:
    From about e / |y - d|, where x = y, to 7.6. Its slope in x is at most 1 / 1.1e-3; y and d have no gradient.
  """
  y, d = jax.lax.stop_gradient((y, d))
  gap = jnp.maximum(jnp.abs(y - d), MIN_SYNC_GAP)
  return jnp.log(jnp.abs(x - y) + gap + SYNC_EPSILON) - jnp.log(gap)


def adaptive_triplet(
  generated: Float[AnyArray, '*b h w c'],
  target: Float[AnyArray, '*b h w c'],
  reference: Float[AnyArray, '*b h w c'],
  margin: float = TRIPLET_MARGIN,
) -> Float[Array, '*b']:
  """Penalises mouths that are not nearer to the true ones than to those of the reference.

  With D the distance of features of unit length and c the cosine of target and reference,
  L = max(0, D(generated, target) - D(generated, reference) + margin (1 - c)): the less target and reference differ, the
  less is asked for. It is 0 where generated = target. An adaptive triplet is Yaman et al.'s idea (arXiv 2307.09368);
  this way to adapt it is ours.

  Args:
    generated, target, reference: feature maps without negative numbers, such as a layer of VGG's.
    margin: for a reference that is nothing like the target.

  Returns:
    From 0 to sqrt(2) + margin. Target and reference have no gradient.
  """
  anchor, positive, negative = (_unit_length(x) for x in (generated, *jax.lax.stop_gradient((target, reference))))
  alike = (positive * negative).sum((-3, -2, -1))
  return jax.nn.relu(_distance(anchor, positive) - _distance(anchor, negative) + margin * (1 - alike))


def av_sync(
  features: Float[AnyArray, '*b d'], others: Float[AnyArray, '*b d'], least: float = 1e-4
) -> Float[Array, '*b']:
  """-log of the cosine of an audio-visual expert's features (Yaman et al., arXiv 2405.04327).

  Args:
    features, others: of one frame each: of generated lips and of speech, of generated and of true lips, or of both
      with the same speech.
    least: the cosine is clipped there: below it the loss has no gradient.

  Returns:
    From 0, for features of one direction, to 9.2.
  """
  x, y = at_least_float32(features), at_least_float32(others)
  lengths = jnp.square(x).sum(-1) * jnp.square(y).sum(-1)
  return -jnp.log(jnp.clip((x * y).sum(-1) * jax.lax.rsqrt(lengths + 1e-12), least, 1))


def frame_contrast(
  speech: Float[AnyArray, 'n d'], lips: Float[AnyArray, 'n d'], temperature: float = 0.07
) -> Float[Array, ' n']:
  """InfoNCE: which frame's speech belongs to these lips (TalkLip, arXiv 2303.17480; van den Oord et al., eq. 4).

  Args:
    speech: what a generator makes of the speech of each frame, of any length.
    lips: what a lip reader makes of the filmed lips of that frame.
    temperature: divides the cosines.

  Returns:
    The cross-entropy for each frame, ln n when nothing is learnt. Lips have no gradient.
  """
  logits = full_precision(jnp.matmul)(unit_length(jax.lax.stop_gradient(lips)), unit_length(speech).T) / temperature
  return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.arange(len(logits)))


def landmarks(told: Float[AnyArray, '*b k'], true: Float[AnyArray, '*b k']) -> Float[Array, '*b']:
  """The L1 distance of the shape of a mouth that is told from speech to the true one, a mean over its k numbers.

  Text2Lip (arXiv 2508.02362) has a decoder of landmarks, whose form is not public.
  """
  return jnp.abs(at_least_float32(told) - true).mean(-1)


def adversarial(generated: Float[AnyArray, '*b'], kind: str) -> Float[Array, '*b']:
  """The generator's loss: penalises generated frames that the discriminator recognises as generated.

  Args:
    generated: the discriminator's log-odds of generated frames.
    kind: 'bce', -log of the probability of being filmed (Goodfellow et al., arXiv 1406.2661, section 3, the variant
      that does not saturate), or 'hinge', minus the log-odds (Lim and Ye, arXiv 1705.02894).
  """
  return {'bce': jax.nn.softplus, 'hinge': lambda x: x}[kind](-generated)


def discrimination(filmed: Float[AnyArray, '*b'], generated: Float[AnyArray, '*b'], kind: str) -> Float[Array, '*b']:
  """The discriminator's loss, from its log-odds: it grows as real and generated frames are confused.

  'bce' is 2 ln 2, 'hinge' 2, as long as it can tell nothing.
  """
  penalty = {'bce': jax.nn.softplus, 'hinge': lambda x: jax.nn.relu(1 + x)}[kind]
  return penalty(-filmed) + penalty(generated)


def r1(gradient: Float[AnyArray, '*b h w c']) -> Float[Array, '*b']:
  """The squared length of the discriminator's gradient at filmed frames.

  It keeps the discriminator from growing ever steeper (Mescheder et al., arXiv 1801.04406, eq. 9, without gamma / 2).
  """
  return jnp.square(gradient).sum((-3, -2, -1))


def contrastive(
  logits: Float[AnyArray, 'n n'],
  clip: Int[AnyArray, ' n'],
  start: Int[AnyArray, ' n'],
  minimum_offset: int = 3,
  negatives: str = 'batch',
) -> Float[Array, ' n']:
  """InfoNCE in both directions: which of all windows of speech belongs to these frames, and the reverse.

  Args:
    logits: entry i, j is the expert's log-odds that the frames of window i go with the speech of window j.
    clip: the clip that each window is from.
    start: its first frame.
    minimum_offset: windows of one clip closer than this, in frames, sound nearly the same and are left out.
    negatives: 'batch', all windows; or 'clip', those of the same clip, which no voice tells from one another.

  Returns:
    The mean of the two cross-entropies of each window; ln n when nothing is learnt (van den Oord et al., eq. 4).
  """
  logits = jnp.where(_ambiguous(clip, start, minimum_offset), -jnp.inf, logits)
  if negatives == 'clip':
    logits = jnp.where(clip[:, None] == clip, logits, -jnp.inf)
  labels = jnp.arange(len(logits))
  to_speech = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
  to_faces = optax.softmax_cross_entropy_with_integer_labels(logits.T, labels)
  return (to_speech + to_faces) / 2


def matching(
  logits: Float[AnyArray, 'b i j'], in_sync: Bool[AnyArray, 'b i j'], off_sync: Bool[AnyArray, 'b i j']
) -> Float[Array, ' b']:
  """InfoNCE within clips, in both directions: which frame of the other kind belongs to this one.

  Args:
    logits: how well frame i of one kind, as speech, and frame j of the other go together.
    in_sync: marks the pairs that belong together, at most one in each row and column.
    off_sync: marks the pairs that do not; those that are neither are left out.

  Returns:
    The mean cross-entropy of all frames that have a partner; 0 for clips in which none has.
  """
  logits = jnp.where(in_sync | off_sync, logits, -1e9)
  own = jnp.where(in_sync, logits, 0)
  rows, columns = (jax.nn.logsumexp(logits, axis) - own.sum(axis) for axis in (2, 1))
  partners = in_sync.sum((1, 2))
  total = (rows * in_sync.any(2)).sum(1) + (columns * in_sync.any(1)).sum(1)
  return total / (2 * jnp.maximum(partners, 1))


def balanced_bce(
  logits: Float[AnyArray, 'n n'],
  clip: Int[AnyArray, ' n'],
  start: Int[AnyArray, ' n'],
  minimum_offset: int = 3,
  hardness: Float[AnyArray, ''] | float = 0.0,
) -> Float[Array, ' n']:
  """Binary cross-entropy of "in sync" with as many pairs of either kind: the classic expert's loss.

  A window's own speech is the positive; the negative is speech of the same clip at least `minimum_offset` frames away,
  on average.

  Args:
    logits, clip, start, minimum_offset: as for `contrastive`.
    hardness: 0 takes the plain average of a window's negatives; more weighs each with exp(hardness * logits), so that
      those that pass for in sync count most (as in Robinson et al., arXiv 2010.04592, eq. 4).

  Returns:
    ln 2 when nothing is learnt, about 0.25 for a well-trained expert. For a window without any negative in the batch
    only the positive counts.
  """
  same_clip = clip[:, None] == clip
  negative = same_clip & (jnp.abs(start[:, None] - start) >= minimum_offset)
  in_sync = jax.nn.softplus(-jnp.diagonal(logits))
  weight = jax.lax.stop_gradient(jax.nn.softmax(hardness * logits, where=negative, axis=-1))
  off_sync = (weight * jax.nn.softplus(logits)).sum(-1)
  return jnp.where(negative.any(-1), (in_sync + off_sync) / 2, in_sync)


def trust(logits: Float[AnyArray, 'n n'], windows: int, exponent: float) -> Float[Array, ' n']:
  """Weights of windows: the more a clip seems to be in sync, the more it counts, so that misaligned clips are let go.

  An expert learns what most clips have in common long before it memorises how far each is off: meanwhile its
  scores tell good clips from misaligned ones (self-paced learning, Kumar et al., NIPS 2010, with soft weights).

  Args:
    logits: as for `contrastive`; the windows of a clip follow each other.
    windows: how many windows each clip has.
    exponent: 1 weighs clips by the mean log-odds of their windows, as a probability; 0 weighs all alike.

  Returns:
    Weights of mean 1, without a gradient.
  """
  in_sync = jax.nn.log_sigmoid(jnp.diagonal(logits).reshape(-1, windows).mean(-1))
  weight = jax.nn.softmax(exponent * in_sync) * len(in_sync)
  return jax.lax.stop_gradient(jnp.repeat(weight, windows))


def ctc(
  logits: Float[AnyArray, 'n t c'], length: Int[AnyArray, ' n'], labels: Int[AnyArray, 'n l']
) -> Float[Array, ' n']:
  """-log p(labels | logits), summed over all their alignments (Graves et al., ICML 2006): CTC, with blank 0.

  Args:
    logits: log-odds of the blank and of each label, frame by frame.
    length: frames that are real; the rest is padding.
    labels: what is said, from 1; 0 is padding, at the end.

  Returns:
    At least 0. A clip with fewer frames than its labels need, one each and one between two that are equal, has no
    alignment: it counts as 0, without a gradient, as with `zero_infinity` in PyTorch.
  """
  logits, labels = jnp.asarray(logits), jnp.asarray(labels)
  padding = jnp.arange(logits.shape[1]) >= jnp.asarray(length)[:, None]
  absent = labels == 0
  repeats = (labels[:, 1:] == labels[:, :-1]) & ~absent[:, 1:]
  fits = (~absent).sum(-1) + repeats.sum(-1) <= length
  loss = optax.ctc_loss(logits, padding.astype(logits.dtype), labels, absent.astype(logits.dtype))
  return jnp.where(fits, loss, 0)


def frame_labels(logits: Float[AnyArray, 'n t c'], labels: Int[AnyArray, 'n t']) -> Float[Array, ' n']:
  """Cross-entropy of the label of each frame, mean over the frames whose label is known: not below 0.

  A clip of which no frame's label is known counts as 0.
  """
  labels = jnp.asarray(labels)
  known = labels >= 0
  entropy = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(logits), jnp.maximum(labels, 0))
  return jnp.where(known, entropy, 0).sum(-1) / jnp.maximum(known.sum(-1), 1)


def _unit_length(x: AnyArray) -> Array:
  x = jnp.asarray(x)
  return x * jax.lax.rsqrt(jnp.square(x).sum((-3, -2, -1), keepdims=True) + 1e-12)


def _distance(x: AnyArray, y: AnyArray) -> Array:
  """The Euclidean distance, with a finite gradient where both are the same."""
  return jnp.sqrt(jnp.square(x - y).sum((-3, -2, -1)) + 1e-12)


def _ambiguous(clip: AnyArray, start: AnyArray, minimum_offset: int) -> Bool[Array, 'n n']:
  """Marks neighbours in the same clip, but not the window itself."""
  near = (clip[:, None] == clip) & (jnp.abs(start[:, None] - start) < minimum_offset)
  return near & ~jnp.eye(len(clip), dtype=bool)
