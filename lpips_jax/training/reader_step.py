"""The lip reader's step and evaluation: pure functions of state and batch, to be jitted over a mesh.

A batch holds b clips: `frames` (b, T, h, w, 3) uint8; `length` (b,), the frames that are real; `labels` (b, L), what is
said in them, 0 after the last; `frame_labels` (b, T), the label of each frame, -1 where nobody knows it.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from lpips_jax import losses
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.metrics.reading import viseme_table
from lpips_jax.models import LipReader
from lpips_jax.training.lone_step import Measured, make_lone_step
from lpips_jax.training.state import Params, Variables
from lpips_jax.training.step import (
  Batch,
  Evaluation,
  FrozenVariables,
  Metrics,
  Pictures,
  Shapes,
  Step,
  StepSettings,
  apply,
  clip_shapes,
)


def make_step(model: LipReader, run: ConfigDict, settings: StepSettings) -> Step:
  """Returns `step(state, batch, frozen_variables) -> (state, metrics)`; nothing is frozen, and the last is empty.

  Args:
    model: the reader.
    run: a config such as configs/lrs2_lip_reader.py's.
    settings: how gradients become an update.
  """
  return make_lone_step(partial(reader_loss, model, run.losses), settings)


def make_evaluation(model: LipReader, run: ConfigDict) -> Evaluation:
  """Returns `evaluate(variables, batch, frozen_variables) -> (metrics, {})`; the second would hold pictures.

  The metrics are those of `reader_metrics` and `error_rates`, and `ranking`, 1 - the error of visemes or characters,
  which decides what step is best. Arguments as for `make_step`.
  """

  def evaluate(variables: Variables, batch: Batch, frozen_variables: FrozenVariables) -> tuple[Metrics, Pictures]:
    del frozen_variables
    logits = apply(model, variables, batch['frames'], batch['length'])
    errors = error_rates(logits, batch['length'], batch['labels'], model.alphabet)
    deciding = errors['character_error' if model.alphabet == 'characters' else 'viseme_error']
    return reader_metrics(run.losses, logits, batch) | errors | {'ranking': 1 - deciding}, {}

  return evaluate


def batch_shapes(config: ConfigDict) -> Shapes:
  """Returns the shapes of a batch of all devices."""
  data = config.data
  return clip_shapes(data.batch_size, data.clip_frames, config.model.image_size, data.max_labels)


def reader_loss(
  model: LipReader, config: ConfigDict, params: Params, batch_stats: Variables, batch: Batch, key: jax.Array
) -> tuple[jax.Array, Measured]:
  """Returns the loss of the reader in training, (), and its by-products; `key` is for dropout."""
  logits, new = apply(
    model,
    {'params': params, 'batch_stats': batch_stats},
    batch['frames'],
    batch['length'],
    train=True,
    mutable=['batch_stats'],
    rngs={'dropout': key},
  )
  metrics = reader_metrics(config, logits, batch)
  return metrics['loss'], Measured(new['batch_stats'], metrics)


def reader_metrics(config: ConfigDict, logits: Float[Array, 'b t c'], batch: Batch) -> Metrics:
  """Returns the losses of a batch, means over its clips.

  Args:
    config: `losses` of a run's config: the coefficients `ctc` and `frames`.
    logits: of the labels of each frame.
    batch: says how long clips are, and what is said in them.

  Returns:
    `loss`; `ctc`, by the labels of a clip, and `frames`, unweighted.
  """
  said = jnp.maximum((batch['labels'] > 0).sum(-1), 1)
  ctc = (losses.ctc(logits, batch['length'], batch['labels']) / said).mean()
  frames = losses.frame_labels(logits, batch['frame_labels']).mean()
  return {'loss': config.ctc * ctc + config.frames * frames, 'ctc': ctc, 'frames': frames}


def error_rates(
  logits: Float[Array, 'b t c'], length: Int[AnyArray, ' b'], labels: Int[AnyArray, 'b l'], alphabet: str
) -> Metrics:
  """Returns the error rates of a batch by the likeliest path, as `metrics.reading` counts them, but on the device.

  Args:
    logits: of the labels of each frame.
    length: frames of each clip that are real.
    labels: what is said, 0 after the last.
    alphabet: of the reader.

  Returns:
    `phoneme_error` and `viseme_error` of sounds, `viseme_error` of visemes, `character_error` of characters.
  """
  path = jnp.where(jnp.arange(logits.shape[1]) < jnp.asarray(length)[:, None], logits.argmax(-1), 0)
  read = packed(path, (path > 0) & _differs(path))
  unit = {'sounds': 'phoneme', 'visemes': 'viseme', 'characters': 'character'}[alphabet]
  rates = {f'{unit}_error': _rate(read, labels)}
  if alphabet == 'sounds':
    table = jnp.asarray(viseme_table())
    rates |= {'viseme_error': _rate(_merged(table[read]), _merged(table[labels]))}
  return rates


def edit_distances(read: Int[AnyArray, 'b r'], said: Int[AnyArray, 'b l']) -> Int[Array, ' b']:
  """Returns the fewest edits that turn each sequence of labels into the other; both are padded with 0 at the end."""
  return jax.vmap(_edit_distance)(jnp.asarray(read), jnp.asarray(said))


def packed(labels: Int[Array, 'b r'], kept: Bool[Array, 'b r']) -> Int[Array, 'b r']:
  """Moves the labels that are kept to the front, in their order; the rest becomes 0."""
  order = jnp.argsort(~kept, axis=-1, stable=True)
  return jnp.take_along_axis(jnp.where(kept, labels, 0), order, axis=-1)


def _edit_distance(read: Array, said: Array) -> Array:
  """Levenshtein's distance, row by row of its table; within a row insertions are a running minimum."""
  places = jnp.arange(said.shape[0] + 1)

  def add(row: Array, label: Array) -> tuple[Array, None]:
    best = jnp.minimum(row + 1, jnp.append(row[0] + 1, row[:-1] + (said != label)))
    following = jax.lax.cummin(best - places) + places
    return jnp.where(label > 0, following, row), None

  row, _ = jax.lax.scan(add, places, read)
  return row[(said > 0).sum()]


def _rate(read: Array, said: AnyArray) -> Array:
  """The edits of a batch over the labels that were said in it."""
  return edit_distances(read, said).sum() / jnp.maximum((jnp.asarray(said) > 0).sum(), 1)


def _merged(labels: Array) -> Array:
  """Makes one of equal neighbours."""
  return packed(labels, (labels > 0) & _differs(labels))


def _differs(labels: Array) -> Array:
  """Marks what differs from its left neighbour, and the first."""
  return jnp.pad(labels[:, 1:] != labels[:, :-1], ((0, 0), (1, 0)), constant_values=True)
