"""A raw clip, cut into records: at 25 frames a second, at 16 kHz, one person in one shot each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult
from data_pipeline.records import encode_frame, make_record
from lpips_jax.core.constants import SAMPLES_A_FRAME
from lpips_jax.core.errors import UserError
from lpips_jax.faces import cropping
from lpips_jax.faces.detect import Detect
from lpips_jax.faces.segments import FRAME, SILENT_ENDS, Segment, find_segments, read_segments, sound_of
from lpips_jax.media.speech import load_speech


@dataclass(frozen=True)
class CutSettings:
  """How to cut.

  Attributes:
    crop_size: side of the crops, in pixels.
    everybody: whether all people of a shot become records, or the most prominent one alone.
    shortest: frames that a record must have, at 25 a second.
  """

  crop_size: int = 96
  everybody: bool = False
  shortest: int = 15


def cut(raw: RawClip, find: Detect, settings: CutSettings) -> ClipResult:
  """Returns what comes of a raw clip; what is wrong with it becomes a reason for its rejection.

  Args:
    raw: from `layouts.find_clips`.
    find: from `faces.detect.make_detector`.
    settings: how to cut.
  """
  try:
    if raw.path.is_dir():
      return _cut_directory(raw, settings)
    return _cut_video(raw, find, settings)
  except UserError as error:
    reason = str(error).replace(str(raw.path), 'the file')
    return ClipResult(raw.id, rejected=[(raw.id, reason)])


def _cut_video(raw: RawClip, find: Detect, settings: CutSettings) -> ClipResult:
  seconds, excerpts = find_segments(raw.path, find, settings.everybody)
  outcome = ClipResult(raw.id, seconds=seconds)
  if not excerpts:
    outcome.rejected.append((raw.id, 'no face was found'))
    return outcome
  long_enough = [excerpt for excerpt in excerpts if len(excerpt.indices) >= settings.shortest]
  for jpegs, excerpt in zip(_crops(raw.path, long_enough, settings.crop_size), long_enough, strict=True):
    _add(outcome, raw, jpegs, excerpt)
  short = len(excerpts) - len(long_enough)
  if short:
    what = f'{raw.id}: {short} of {len(excerpts)} tracks' if long_enough else raw.id
    outcome.rejected.append((what, f'fewer than {settings.shortest} frames in a row with a face and sound'))
  return outcome


def _cut_directory(raw: RawClip, settings: CutSettings) -> ClipResult:
  """A directory that was prepared for Wav2Lip: crops by number, where a missing number is a frame without a face."""
  speech = load_speech(raw.path / 'audio.wav')
  numbers = sorted(int(file.stem) for file in raw.path.glob('*.jpg') if file.stem.isdigit())
  if not numbers:
    raise UserError(f'{raw.path} holds no numbered .jpg')
  outcome = ClipResult(raw.id, seconds=float((numbers[-1] + 1) * FRAME))
  runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
  for run in runs:
    run = run[run < len(speech) // SAMPLES_A_FRAME + round(SILENT_ENDS / FRAME)]
    if len(run) < settings.shortest:
      continue
    jpegs, boxes = zip(*(_ready_crop(raw.path / f'{number}.jpg', settings.crop_size) for number in run), strict=True)
    _add(outcome, raw, list(jpegs), Segment(run, np.array(boxes), sound_of(speech, run[0] * SAMPLES_A_FRAME, len(run))))
  if not outcome.records:
    outcome.rejected.append((raw.id, f'fewer than {settings.shortest} frames in a row with a face and sound'))
  return outcome


def _add(outcome: ClipResult, raw: RawClip, jpegs: Sequence[bytes], excerpt: Segment) -> None:
  record = make_record(f'{raw.id}/{len(outcome.records)}', raw.speaker, jpegs, excerpt.audio, excerpt.boxes[:, :4])
  outcome.records.append(record)
  outcome.notes.append({'face': float(np.mean(excerpt.boxes[:, 3] - excerpt.boxes[:, 1]))})


def _crops(path: Path, excerpts: Sequence[Segment], size: int) -> list[list[bytes]]:
  """Cuts and codes the frames of all excerpts while the video is read once."""
  jpegs: list[list[Any]] = [[None] * len(excerpt.indices) for excerpt in excerpts]
  for frame, places in read_segments(path, excerpts):
    for k, place in places:
      jpegs[k][place] = encode_frame(cropping.crop(frame, excerpts[k].boxes[place], size))
  return jpegs


def _ready_crop(path: Path, size: int) -> tuple[bytes, tuple[int, int, int, int]]:
  """A crop that somebody else cut, at our size, and its box: nobody knows where in the video it was."""
  image = cv2.imread(str(path), cv2.IMREAD_COLOR)
  if image is None:
    raise UserError(f'{path.name} is not a picture')
  height, width = image.shape[:2]
  return encode_frame(cropping.crop(image[..., ::-1], (0, 0, width, height), size)), (0, 0, width, height)
