"""Logs of an evaluation beside its numbers: pictures and a video of a generator, a diagnosis of an expert's data, what
is read on lips, and how alike lips and sound are.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lpips_jax.audio.condition import windows_for
from lpips_jax.core.constants import AV_EXPERT, FRAME_RATE, LIP_READER, SYNC_EXPERT
from lpips_jax.evaluation import Clip
from lpips_jax.evaluation.references import references_of
from lpips_jax.media.pictures import to_uint8
from lpips_jax.models import SyncExpert
from lpips_jax.models.inputs import generator_faces
from lpips_jax.pretrained.batches import in_batches
from lpips_jax.pretrained.network import Pretrained
from lpips_jax.training import clip_pictures
from lpips_jax.training.diagnosis import diagnose, picture, verdict
from lpips_jax.training.logs import RunLog
from lpips_jax.training.state import Variables
from lpips_jax.training.step import apply

MAX_VIDEO_FRAMES = 3 * FRAME_RATE
SAMPLE_ROWS = 'masked', 'reference', 'generated', 'target'


class Evaluated(NamedTuple):
  """The result of an evaluation: means over its batches, and the pictures of its first batch, (n, h, w, 3) each."""

  metrics: dict[str, float]
  pictures: dict[str, np.ndarray]


Preview = Callable[[RunLog, int, Variables, Evaluated, Sequence[Clip]], dict[str, float]]


def make_preview(network: Pretrained) -> Preview:
  """Returns `preview(log, step, variables, evaluated, clips)`, which logs what a network does, and returns scalars.

  It works on one device of this process, and compiles once.

  Args:
    network: that of the run, with or without variables.
  """
  log_preview = PREVIEWS[network.config.task]

  def preview(
    log: RunLog, step: int, variables: Variables, evaluated: Evaluated, clips: Sequence[Clip]
  ) -> dict[str, float]:
    current = dataclasses.replace(network, variables=_on_one_device(variables), step=step)
    return log_preview(log, current, evaluated, clips)

  return preview


def _log_samples(log: RunLog, generator: Pretrained, evaluated: Evaluated, clips: Sequence[Clip]) -> dict[str, float]:
  """Logs a picture of some windows, and a video of the first clip; finds no scalars."""
  log.samples(generator.step, [evaluated.pictures[name] for name in SAMPLE_ROWS])
  for clip in clips[:1]:
    log.video(generator.step, _beside_truth(generator, clip), clip.audio)
  return {}


def _log_diagnosis(log: RunLog, expert: Pretrained, evaluated: Evaluated, clips: Sequence[Clip]) -> dict[str, float]:
  """Logs the diagnosis of the clips; returns the shares of them that are `known` and, if it tells, `shifted`."""
  found = diagnose(
    expert,
    lambda cosines: apply(expert.model, expert.variables, cosines, method=SyncExpert.logits),
    clips,
    evaluated.metrics['ranking'],
    lambda clip: clip.heard_by(expert.config),
  )
  log.diagnosis(expert.step, picture(found), verdict(found))
  return {'known': float(found.known.mean())} | ({'shifted': found.shifted} if found.tells else {})


def _beside_truth(generator: Pretrained, clip: Clip) -> np.ndarray:
  """The first seconds of a clip, generated to the left and as filmed to the right: (t, h, 2 w, 3) uint8."""
  config, frames = generator.config, clip.frames[:MAX_VIDEO_FRAMES]
  faces = np.asarray(generator_faces(frames, references_of(config.data, frames)))
  made = in_batches(generator, faces, windows_for(config, clip.heard_by(config), len(faces)))
  return np.concatenate([to_uint8(made), frames], 2)


def _log_reading(log: RunLog, reader: Pretrained, evaluated: Evaluated, clips: Sequence[Clip]) -> dict[str, float]:
  """Logs what the reader sees in the first clip, beside what is said; finds no scalars."""
  for clip in clips[:1]:
    log.clip(reader.step, *clip_pictures.read(reader, clip))
  return {}


def _log_comparison(log: RunLog, expert: Pretrained, evaluated: Evaluated, clips: Sequence[Clip]) -> dict[str, float]:
  """Logs how alike lips and sound of clips are, by how much later the sound is; finds no scalars."""
  log.clip(expert.step, *clip_pictures.compare(expert, clips))
  return {}


PREVIEWS = {  # by task
  SYNC_EXPERT: _log_diagnosis,
  'generator': _log_samples,
  LIP_READER: _log_reading,
  AV_EXPERT: _log_comparison,
}


def _on_one_device(variables: Any) -> Any:
  return jax.tree.map(lambda x: x.addressable_data(0), variables)
