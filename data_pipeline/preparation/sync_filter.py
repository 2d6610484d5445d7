"""The sync filter: a sync expert rejects records whose lips and speech disagree, and shifted sound is realigned."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from data_pipeline.preparation.store import ClipResult
from data_pipeline.records import Record, decode_frames, make_record, part_of_record, words_between
from lpips_jax.core.constants import FRAME_RATE, SAMPLES_PER_FRAME, WINDOW_FRAMES

if TYPE_CHECKING:  # without an expert, preparation does not need JAX
  from lpips_jax.pretrained.network import Pretrained

MAX_SCORED_FRAMES = 500  # from the middle of a record

SyncFilter = Callable[[ClipResult], ClipResult]


@dataclass(frozen=True)
class SyncFilterSettings:
  """The limits of the sync filter.

  Attributes:
    max_offset: frames by which sound may be off the picture: up to that it is realigned, beyond it rejected.
    min_confidence: margin by which the best shift must beat the median one, `metrics.sync.SyncScores.confidence`.
    min_frames: frames that a record must still have once it is realigned.
  """

  max_offset: int
  min_confidence: float
  min_frames: int


def make_sync_filter(checkpoint: str, settings: SyncFilterSettings) -> SyncFilter:
  """Returns `filter_by_sync` with the expert in a checkpoint directory; for an empty path, a filter that keeps all.

  Raises:
    UserError: there is no such checkpoint, or it does not hold a sync expert.
  """
  if not checkpoint:
    return _keep_all
  from lpips_jax import pretrained  # here: preparation without an expert does not need JAX

  return partial(filter_by_sync, expert=pretrained.load_expert(checkpoint), settings=settings)


def filter_by_sync(result: ClipResult, expert: 'Pretrained', settings: SyncFilterSettings) -> ClipResult:
  """Returns the result with its records realigned, and those rejected that no shift brings in sync.

  Each note gets `offset`, the frames by which the sound was ahead of the picture, and `confidence`.
  """
  filtered = dataclasses.replace(result, records=[], notes=[], rejected=list(result.rejected))
  for record, note in zip(result.records, result.notes, strict=True):
    offset, confidence = _sync_scores(record, expert)
    frames_left = len(record['frames']) - abs(offset)
    if confidence < settings.min_confidence:
      reason = f'lips and speech do not agree: confidence {confidence:.2f}'
    elif abs(offset) > settings.max_offset:
      reason = f'sound and picture are {offset} frames apart'
    elif frames_left < settings.min_frames:
      reason = f'shorter than {settings.min_frames} frames once in sync'
    else:
      filtered.records.append(realigned(record, offset))
      filtered.notes.append(note | {'offset': offset, 'confidence': round(confidence, 4)})
      continue
    filtered.rejected.append((record['id'], reason))
  return filtered


def realigned(record: Record, offset: int) -> Record:
  """Returns the record with its sound moved by `offset`; ends without a picture or sound are cut off.

  Args:
    record: from `data_pipeline.records.make_record`, without extras other than a transcript.
    offset: frames by which its sound is ahead of the picture; negative if it is late.
  """
  if offset == 0:
    return record
  frames = slice(max(offset, 0), len(record['frames']) + min(offset, 0))
  first = max(-offset, 0) * SAMPLES_PER_FRAME
  audio = record['audio'][first : first + (frames.stop - frames.start) * SAMPLES_PER_FRAME]
  said = {name: record[name] for name in ('text', 'words') if name in record}
  if 'words' in said:
    start = max(-offset, 0) / FRAME_RATE
    said['words'] = words_between(said['words'], start, start + (frames.stop - frames.start) / FRAME_RATE)
  return make_record(record['id'], record['speaker'], record['frames'][frames], audio, record['box'][frames], **said)


def _keep_all(result: ClipResult) -> ClipResult:
  return result


def _sync_scores(record: Record, expert: 'Pretrained') -> tuple[int, float]:
  """Returns the offset of the sound, in frames, and the confidence in it."""
  from lpips_jax import metrics
  from lpips_jax.evaluation import Candidate
  from lpips_jax.pretrained.batches import embeddings

  frames = len(record['frames'])
  # A part of a record must start at a multiple of five frames.
  first = max(0, (frames - MAX_SCORED_FRAMES) // 2) // WINDOW_FRAMES * WINDOW_FRAMES
  middle = part_of_record(record, first, min(frames, first + MAX_SCORED_FRAMES), record['id'])
  shown = decode_frames(middle['frames'], range(len(middle['frames'])), expert.config.model.image_size)
  candidate = Candidate(shown, middle['mel'], middle['audio'], phones=middle['phones'])
  faces, speech = embeddings(expert, shown, candidate.heard_by(expert.config))
  scores = metrics.sync_scores(faces, speech)
  return scores.offset, scores.confidence
