"""Cutting: a raw clip becomes records at 25 frames a second and 16 kHz, of one person in one shot each."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult
from data_pipeline.preparation.transcripts import read_transcript
from data_pipeline.records import Word, encode_frame, make_record, text_of, words_between
from lpips_jax.core.constants import FRAME_RATE, SAMPLES_PER_FRAME
from lpips_jax.core.errors import UserError
from lpips_jax.faces import cropping
from lpips_jax.faces.detect import Detect
from lpips_jax.faces.segments import FRAME_SECONDS, MAX_SILENT_SECONDS, Segment, find_segments, read_segments, sound_of
from lpips_jax.media.speech import load_speech

MAX_UNSEEN_SECONDS = 0.2  # of a clip, at most, that a record may lack and still have the transcript of the whole


@dataclass(frozen=True)
class CutSettings:
  """The options of cutting.

  Attributes:
    crop_size: side of the crops, in pixels.
    everybody: all people of a shot become records; otherwise the most prominent one alone.
    min_frames: frames, at 25 a second, that a record must have.
  """

  crop_size: int = 96
  everybody: bool = False
  min_frames: int = 15


def cut(raw: RawClip, find: Detect, settings: CutSettings) -> ClipResult:
  """Cuts a raw clip into records; bad input becomes a reason for its rejection.

  Args:
    raw: from `layouts.find_clips`, with a path of this machine.
    find: from `faces.detect.make_detector`.
    settings: the options of cutting.
  """
  try:
    if Path(raw.path).is_dir():
      return _cut_directory(raw, settings)
    return _cut_video(raw, find, settings)
  except UserError as error:
    reason = str(error).replace(str(raw.path), 'the file')
    return ClipResult(raw.id, rejected=[(raw.id, reason)])


def _cut_video(raw: RawClip, find: Detect, settings: CutSettings) -> ClipResult:
  path = Path(raw.path)
  seconds, segments = find_segments(path, find, settings.everybody)
  result = ClipResult(raw.id, seconds=seconds)
  if not segments:
    result.rejected.append((raw.id, 'no face was found'))
    return result
  long_enough = [segment for segment in segments if len(segment.indices) >= settings.min_frames]
  if settings.everybody and len(long_enough) > 1:  # the transcript does not tell who says what
    raw = dataclasses.replace(raw, transcript=None, text='')
  for jpegs, segment in zip(_crops(path, long_enough, settings.crop_size), long_enough, strict=True):
    _add(result, raw, jpegs, segment)
  short = len(segments) - len(long_enough)
  if short:
    what = f'{raw.id}: {short} of {len(segments)} tracks' if long_enough else raw.id
    result.rejected.append((what, f'fewer than {settings.min_frames} frames in a row with a face and sound'))
  return result


def _cut_directory(raw: RawClip, settings: CutSettings) -> ClipResult:
  """Cuts a directory that was prepared for Wav2Lip: numbered crops; a missing number is a frame without a face."""
  directory = Path(raw.path)
  speech = load_speech(directory / 'audio.wav')
  numbers = sorted(int(file.stem) for file in directory.glob('*.jpg') if file.stem.isdigit())
  if not numbers:
    raise UserError(f'{directory} holds no numbered .jpg')
  result = ClipResult(raw.id, seconds=float((numbers[-1] + 1) * FRAME_SECONDS))
  runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
  for run in runs:
    run = run[run < len(speech) // SAMPLES_PER_FRAME + round(MAX_SILENT_SECONDS / FRAME_SECONDS)]
    if len(run) < settings.min_frames:
      continue
    jpegs, boxes = zip(*(_ready_crop(directory / f'{number}.jpg', settings.crop_size) for number in run), strict=True)
    _add(
      result, raw, list(jpegs), Segment(run, np.array(boxes), sound_of(speech, run[0] * SAMPLES_PER_FRAME, len(run)))
    )
  if not result.records:
    result.rejected.append((raw.id, f'fewer than {settings.min_frames} frames in a row with a face and sound'))
  return result


def _add(result: ClipResult, raw: RawClip, jpegs: Sequence[bytes], segment: Segment) -> None:
  name = f'{raw.id}/{len(result.records)}'
  said = _said(raw, segment.indices, result.seconds)
  record = make_record(name, raw.speaker, jpegs, segment.audio, segment.boxes[:, :4], **said)
  result.records.append(record)
  result.notes.append({'face': float(np.mean(segment.boxes[:, 3] - segment.boxes[:, 1]))})


def _said(raw: RawClip, indices: np.ndarray, seconds: float) -> dict[str, Any]:
  """Returns the transcript of a record: that of the clip, or the words within if it shows a part of the clip alone.

  Args:
    raw: the clip.
    indices: (t,) the frames of the clip that the record shows, one for each 25th of a second.
    seconds: length of the clip.
  """
  said, words = (raw.text, list[Word]()) if raw.transcript is None else read_transcript(Path(raw.transcript))
  length = len(indices) / FRAME_RATE
  per_second = FRAME_RATE * (indices[-1] - indices[0]) / max(len(indices) - 1, 1) or FRAME_RATE
  start = float(indices[0] / per_second)
  inside = words_between(words, start, start + length)
  return {'text': said if length >= seconds - MAX_UNSEEN_SECONDS else text_of(inside), 'words': inside}


def _crops(path: Path, segments: Sequence[Segment], size: int) -> list[list[bytes]]:
  """Returns the coded crops of all segments; the video is read once for all of them."""
  jpegs = [[b''] * len(segment.indices) for segment in segments]
  for frame, places in read_segments(path, segments):
    for k, place in places:
      jpegs[k][place] = encode_frame(cropping.crop(frame, segments[k].boxes[place], size))
  return jpegs


def _ready_crop(path: Path, size: int) -> tuple[bytes, tuple[int, int, int, int]]:
  """Returns a ready-made crop at our size, and the box of the whole crop: its place in the video is unknown."""
  image = cv2.imread(str(path), cv2.IMREAD_COLOR)
  if image is None:
    raise UserError(f'{path.name} is not a picture')
  height, width = image.shape[:2]
  return encode_frame(cropping.crop(image[..., ::-1], (0, 0, width, height), size)), (0, 0, width, height)
