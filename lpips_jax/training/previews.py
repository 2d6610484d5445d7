"""What an evaluation shows beside numbers: pictures and a video of a generator, the diagnosis of an expert's data."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.audio.mel import mel_windows
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.evaluation import Clip, in_batches
from lpips_jax.evaluation.references import REFERENCES
from lpips_jax.models import SyncExpert
from lpips_jax.models.inputs import generator_faces
from lpips_jax.pretrained.checkpoint import Pretrained
from lpips_jax.training.diagnosis import diagnose, picture, verdict
from lpips_jax.training.logs import RunLog
from lpips_jax.training.tasks import Frozen

LONGEST = 3 * FRAME_RATE  # frames of a video
View = Callable[[RunLog, int, Any, dict[str, float], dict[str, np.ndarray], Sequence[Clip]], dict[str, float]]


def make_preview(config: ConfigDict, frozen: Frozen) -> View:
  """Returns `view(log, step, variables, evaluated, pictures, clips)`, which logs what there is to see of a network, and
  returns scalars that it has found.

  It works on one device of this process, and compiles once.

  Args:
    config: of the run.
    frozen: the networks that it does not train.
  """
  model = models.build(config.model)
  apply = jax.jit(model.apply)
  silent = Pretrained(config, frozen.silent, frozen.weights['silent'], 0) if frozen.silent else None

  def generator(log: RunLog, step: int, variables: Any, evaluated: dict, pictures: dict, clips: Sequence[Clip]) -> dict:
    del evaluated
    log.samples(step, [pictures[name] for name in ('masked', 'reference', 'generated', 'target')])
    network = Pretrained(config, model, _on_one_device(variables), step, silent)
    for clip in clips[:1]:
      log.video(step, _beside_truth(network, clip, config), clip.audio)
    return {}

  def expert(log: RunLog, step: int, variables: Any, evaluated: dict, pictures: dict, clips: Sequence[Clip]) -> dict:
    del pictures
    here = _on_one_device(variables)
    found = diagnose(
      lambda *inputs: apply(here, *inputs),
      lambda cosines: model.apply(here, cosines, method=SyncExpert.logits),
      clips,
      evaluated['ranking'],
      lambda clip: clip.heard_by(config),
    )
    log.diagnosis(step, picture(found), verdict(found))
    return {'known': float(found.known.mean())} | ({'shifted': found.shifted} if found.tells else {})

  return expert if config.task == 'sync_expert' else generator


def _beside_truth(network: Callable[..., Any], clip: Clip, config: ConfigDict) -> np.ndarray:
  """The first seconds of a clip, generated to the left and as filmed to the right: (t, h, 2 w, 3) uint8."""
  frames = clip.frames[:LONGEST]
  faces = np.asarray(generator_faces(frames, REFERENCES[config.data.reference](frames)))
  made = in_batches(network, faces, mel_windows(clip.heard_by(config), FRAME_RATE, len(faces), config.data.lead))
  return np.concatenate([np.round(255 * made).astype(np.uint8), frames], 2)


def _on_one_device(variables: Any) -> Any:
  return jax.tree.map(lambda x: x.addressable_data(0), variables)
