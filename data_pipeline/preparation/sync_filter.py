"""Whether lips and speech of a record agree, as a sync expert sees it; and putting right what is only shifted."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from data_pipeline.preparation.store import ClipResult
from data_pipeline.records import decode_frames, make_record, part_of_record
from lpips_jax.core.constants import SAMPLES_A_FRAME, WINDOW_FRAMES

LONGEST = 500  # frames that are judged, from the middle of a record


@dataclass(frozen=True)
class SyncFilterSettings:
  """What agrees well enough.

  Attributes:
    max_offset: frames by which sound may be shifted against the picture; then it is put right, beyond rejected.
    min_confidence: by how much the best shift must beat the median one, `metrics.sync.SyncScores.confidence`.
    shortest: frames that a record must still have when it has been put right.
  """

  max_offset: int
  min_confidence: float
  shortest: int


def make_sync_filter(checkpoint: str, settings: SyncFilterSettings) -> Callable[[ClipResult], ClipResult]:
  """Returns `judge` with the sync expert of a checkpoint directory; without one, what leaves outcomes as they are.

  Raises:
    UserError: there is no such checkpoint, or it holds something else.
  """
  if not checkpoint:
    return _unjudged
  from lpips_jax import pretrained  # here: without an expert, preparation does without JAX

  return partial(judge, expert=pretrained.load_expert(checkpoint), settings=settings)


def judge(outcome: ClipResult, expert: Any, settings: SyncFilterSettings) -> ClipResult:
  """Returns the outcome with its records in sync, without those that no expert could agree to.

  Each note then has `offset`, the frames by which the sound was ahead of the picture, and `confidence`.
  """
  judged = dataclasses.replace(outcome, records=[], notes=[], rejected=list(outcome.rejected))
  for record, note in zip(outcome.records, outcome.notes, strict=True):
    offset, confidence = _scores(record, expert)
    frames_left = len(record['frames']) - abs(offset)
    if confidence < settings.min_confidence:
      reason = f'lips and speech do not agree: confidence {confidence:.2f}'
    elif abs(offset) > settings.max_offset:
      reason = f'sound and picture are {offset} frames apart'
    elif frames_left < settings.shortest:
      reason = f'shorter than {settings.shortest} frames once in sync'
    else:
      judged.records.append(shifted(record, offset))
      judged.notes.append(note | {'offset': offset, 'confidence': round(confidence, 4)})
      continue
    judged.rejected.append((record['id'], reason))
  return judged


def shifted(record: dict[str, Any], offset: int) -> dict[str, Any]:
  """Returns the record with its sound put right; what then lacks a picture or sound is cut off.

  Args:
    record: from `data_pipeline.records.make_record`, without extras.
    offset: frames by which its sound is ahead of the picture; negative where it is late.
  """
  if offset == 0:
    return record
  frames = slice(max(offset, 0), len(record['frames']) + min(offset, 0))
  first = max(-offset, 0) * SAMPLES_A_FRAME
  audio = record['audio'][first : first + (frames.stop - frames.start) * SAMPLES_A_FRAME]
  return make_record(record['id'], record['speaker'], record['frames'][frames], audio, record['box'][frames])


def _unjudged(outcome: ClipResult) -> ClipResult:
  return outcome


def _scores(record: dict[str, Any], expert: Any) -> tuple[int, float]:
  from lpips_jax import evaluation, metrics

  frames = len(record['frames'])
  first = max(0, (frames - LONGEST) // 2) // WINDOW_FRAMES * WINDOW_FRAMES  # where a part of a record may begin
  middle = part_of_record(record, first, min(frames, first + LONGEST), record['id'])
  shown = decode_frames(middle['frames'], range(len(middle['frames'])), expert.config.model.image_size)
  take = evaluation.Candidate(shown, middle['mel'], middle['audio'], phones=middle['phones'])
  faces, speech = evaluation.embeddings(expert, shown, take.heard_by(expert.config))
  scores = metrics.sync_scores(faces, speech)
  return scores.offset, scores.confidence
