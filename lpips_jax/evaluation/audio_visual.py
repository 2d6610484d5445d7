"""Scores by an audio-visual expert, AV-HuBERT: lips and sound have alike features if they belong together."""

from collections.abc import Callable
from functools import cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lpips_jax.audio.av_features import av_features
from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation.candidates import Candidate
from lpips_jax.evaluation.measures import AV_RANKING, Scores
from lpips_jax.evaluation.whole_clips import length_of, padded
from lpips_jax.metrics.avs import similarity
from lpips_jax.models.av_hubert import AVHubert
from lpips_jax.models.inputs import to_unit
from lpips_jax.pretrained import Pretrained
from lpips_jax.pretrained.batches import at_size

# By measure: why no candidate has it.
UNMET = {
  'avs_u': UserError('no clip has its sound'),
  'avs_m': UserError('there are no true frames to compare with'),
  'avs_v': UserError('there are no true frames to compare with'),
}
MAX_SHIFT, MINIMUM_OFFSET = 15, 3  # video frames by which the sound is shifted, and from which on it is off sync


def scores(expert: Pretrained, frames: np.ndarray, candidate: Candidate, audio: np.ndarray) -> Scores:
  """Returns AVS_u of a candidate; with true frames AVS_m and AVS_v; and of a filmed one how well the expert ranks.

  Args:
    expert: an AV-HuBERT.
    frames: (t, h, w, 3) in [0, 1], those of the candidate.
    candidate: all else.
    audio: (s,) int16, its sound.
  """
  frames = frames[: candidate.usable_frames]
  speech, size = av_features(audio, len(frames)), expert.config.model.image_size
  heard, seen, both = _features(expert, speech, at_size(frames, size))
  found: Scores = {'avs_u': similarity(heard, seen)}
  if candidate.truth is not None:
    truth = np.asarray(to_unit(candidate.truth[: len(frames)]))
    _, truly_seen, truly_both = _features(expert, speech, at_size(truth, size))
    found |= {'avs_m': similarity(both, truly_both), 'avs_v': similarity(seen, truly_seen)}
  if candidate.filmed:
    found |= _ranking(expert, speech, at_size(frames, size))
  return found


def _features(expert: Pretrained, speech: np.ndarray, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The features of speech alone, of lips alone, and of both, (t, d) each."""
  program = _program(expert.model, _alone_and_together)
  of_clip = program(expert.variables, padded(speech), padded(crops), length_of(crops))
  heard, seen, both = (np.asarray(features[0, : len(crops)], np.float64) for features in of_clip)
  return heard, seen, both


def cosines_by_shift(expert: Pretrained, speech: np.ndarray, crops: np.ndarray) -> np.ndarray:
  """Compares the lips of a clip with the sound of other times: means of the features of five frames each.

  Stretches of the sound are heard one by one, each from its first frame on, as the lips are seen: a pair in sync and
  one off sync are at the same place, which therefore tells nothing.

  Args:
    expert: an AV-HuBERT.
    speech: (t, 104), from `audio.av_features`.
    crops: (t, h, w, 3) of the expert's size, in [0, 1].

  Returns:
    (2 reach + 1, windows) cosines: the sound is reach frames earlier in the first row, and as much later in the last.
    `reach` is `MAX_SHIFT`, or less in short clips, and there are no rows for those of a few frames.
  """
  reach = min(MAX_SHIFT, len(crops) // 3)
  stretch = len(crops) - 2 * reach
  if reach < MINIMUM_OFFSET or stretch < WINDOW_FRAMES:
    return np.zeros((0, 1))
  heard, seen = _program(expert.model, _shifted, reach)(
    expert.variables, padded(speech), padded(crops), length_of(crops) - 2 * reach
  )
  heard, seen = (_unit(_means(np.asarray(features, np.float64)[:, :stretch])) for features in (heard, seen))
  return (heard * seen).sum(-1)


def _ranking(expert: Pretrained, speech: np.ndarray, crops: np.ndarray) -> Scores:
  """The share of pairs off sync whose features are less alike than those in sync with the same lips."""
  cosines = cosines_by_shift(expert, speech, crops)
  reach = len(cosines) // 2
  if not reach:
    return {}
  off_sync = np.abs(np.arange(-reach, reach + 1)) >= MINIMUM_OFFSET
  return {AV_RANKING: float((cosines[off_sync] < cosines[reach]).mean())}


def _alone_and_together(
  module: AVHubert, speech: jax.Array, crops: jax.Array, length: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
  heard, seen = module.hear(speech), module.see(crops, length)
  return module.fuse(heard, None, length), module.fuse(None, seen, length), module.fuse(heard, seen, length)


def _shifted(
  module: AVHubert, speech: jax.Array, crops: jax.Array, length: jax.Array, reach: int
) -> tuple[jax.Array, jax.Array]:
  """Features of stretches of the sound that begin 0, 1, …, 2 reach frames into a clip, and of the lips in the middle.

  Args:
    module: the expert.
    speech, crops: of one clip.
    length: (1,), of the stretches.
    reach: half of the shifts.

  Returns:
    (2 reach + 1, T - 2 reach, d) and (1, T - 2 reach, d), the axis of shifts first.
  """
  heard, seen = module.hear(speech), module.see(crops, length + 2 * reach)
  stretch, shifts = heard.shape[1] - 2 * reach, 2 * reach + 1
  stretches = jnp.concatenate([heard[:, first : first + stretch] for first in range(shifts)])
  lengths = jnp.repeat(length, shifts)
  return module.fuse(stretches, None, lengths), module.fuse(None, seen[:, reach : reach + stretch], length)


@cache
def _program(model: nn.Module, method: Callable[..., Any], *settings: int) -> Callable[..., Any]:
  """A function of variables and arrays that calls a method of a module, with settings after the arrays."""
  return jax.jit(lambda variables, *arrays: model.apply(variables, *arrays, *settings, method=method))


def _means(features: np.ndarray) -> np.ndarray:
  """Means of windows of five frames: (n, t, d) -> (n, t - 4, d)."""
  return np.lib.stride_tricks.sliding_window_view(features, WINDOW_FRAMES, 1).mean(-1)


def _unit(x: np.ndarray) -> np.ndarray:
  return x / np.linalg.norm(x, axis=-1, keepdims=True)
