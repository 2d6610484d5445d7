"""A raw clip, cut into records: at 25 frames a second, at 16 kHz, one person in one shot each."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import Outcome
from data_pipeline.records import SAMPLES_A_FRAME, encode_frame, make_record
from lpips_jax.cli import UserError
from lpips_jax.conventions import FRAME_RATE
from lpips_jax.media import faces, video
from lpips_jax.media.audio import SAMPLE_RATE
from lpips_jax.media.detect import Detect
from lpips_jax.media.people import Person, follow_everybody
from lpips_jax.media.sound import load_speech, load_timed_speech
from lpips_jax.media.survey import survey

LONGEST_STILL = 0.15  # seconds for which one frame may stand: else the picture would rest while speech goes on
SILENT_ENDS = Fraction(1, 10)  # seconds by which a record may begin before its sound, or end after it
FRAME = Fraction(1, FRAME_RATE)


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


@dataclass(frozen=True, eq=False)
class _Piece:
  """A record to be: which frames of the source it shows, where their faces are, and what is heard meanwhile."""

  indices: np.ndarray
  boxes: np.ndarray
  audio: np.ndarray


def cut(raw: RawClip, find: Detect, settings: CutSettings) -> Outcome:
  """Returns what comes of a raw clip; what is wrong with it becomes a reason for its rejection.

  Args:
    raw: from `layouts.find_clips`.
    find: from `media.detect.make_detector`.
    settings: how to cut.
  """
  try:
    if raw.path.is_dir():
      return _cut_directory(raw, settings)
    return _cut_video(raw, find, settings)
  except UserError as error:
    reason = str(error).replace(str(raw.path), 'the file')
    return Outcome(raw.id, rejected=[(raw.id, reason)])


def _cut_video(raw: RawClip, find: Detect, settings: CutSettings) -> Outcome:
  sound_start, speech = load_timed_speech(raw.path)
  seen = survey(raw.path, find)
  steps = np.diff([float(time) for time in seen.times])
  step = float(np.median(steps)) if len(steps) else float(1 / seen.info.rate)  # the mean is no measure across gaps
  cuts = sorted({*seen.cuts, *(np.flatnonzero(steps > LONGEST_STILL) + 1).tolist()})
  people = follow_everybody(seen.faces, cuts, 1 / step, (seen.info.width, seen.info.height))
  if not settings.everybody:
    people = _most_prominent_of_each_shot(people, cuts)
  outcome = Outcome(raw.id, seconds=float(np.minimum(steps, LONGEST_STILL).sum() + step))
  if not people:
    outcome.rejected.append((raw.id, 'no face was found'))
    return outcome
  pieces = [_piece(person, seen.times, step, sound_start, speech) for person in people]
  long_enough = [piece for piece in pieces if len(piece.indices) >= settings.shortest]
  for jpegs, piece in zip(_crops(raw.path, long_enough, settings.crop_size), long_enough, strict=True):
    _add(outcome, raw, jpegs, piece)
  short = len(pieces) - len(long_enough)
  if short:
    what = f'{raw.id}: {short} of {len(pieces)} tracks' if long_enough else raw.id
    outcome.rejected.append((what, f'fewer than {settings.shortest} frames in a row with a face and sound'))
  return outcome


def _cut_directory(raw: RawClip, settings: CutSettings) -> Outcome:
  """A directory that was prepared for Wav2Lip: crops by number, where a missing number is a frame without a face."""
  speech = load_speech(raw.path / 'audio.wav')
  numbers = sorted(int(file.stem) for file in raw.path.glob('*.jpg') if file.stem.isdigit())
  if not numbers:
    raise UserError(f'{raw.path} holds no numbered .jpg')
  outcome = Outcome(raw.id, seconds=float((numbers[-1] + 1) * FRAME))
  runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
  for run in runs:
    run = run[run < len(speech) // SAMPLES_A_FRAME + round(SILENT_ENDS / FRAME)]
    if len(run) < settings.shortest:
      continue
    jpegs, boxes = zip(*(_ready_crop(raw.path / f'{number}.jpg', settings.crop_size) for number in run), strict=True)
    _add(outcome, raw, list(jpegs), _Piece(run, np.array(boxes), _heard(speech, run[0] * SAMPLES_A_FRAME, len(run))))
  if not outcome.records:
    outcome.rejected.append((raw.id, f'fewer than {settings.shortest} frames in a row with a face and sound'))
  return outcome


def _add(outcome: Outcome, raw: RawClip, jpegs: Sequence[bytes], piece: _Piece) -> None:
  record = make_record(f'{raw.id}/{len(outcome.records)}', raw.speaker, jpegs, piece.audio, piece.boxes)
  outcome.records.append(record)
  outcome.notes.append({'face': float(np.mean(piece.boxes[:, 3] - piece.boxes[:, 1]))})


def _most_prominent_of_each_shot(people: Sequence[Person], cuts: Sequence[int]) -> list[Person]:
  shots: dict[int, Person] = {}
  for person in people:
    shot = int(np.searchsorted(cuts, person.first, side='right'))
    if shot not in shots or person.prominence > shots[shot].prominence:
      shots[shot] = person
  return list(shots.values())


def _piece(person: Person, times: Sequence[Fraction], step: float, sound_start: Fraction, speech: np.ndarray) -> _Piece:
  """Lays a grid of 25 frames a second over the time for which a person is seen and something can be heard.

  The grid begins with a frame of the source, and each of its points takes the frame that is nearest in time: half a
  source frame off at most, in the mean not at all, and exact where the source has 25, 50 or 75 frames a second.
  """
  of_person = np.array([float(time) for time in times[person.first : person.first + len(person.boxes)]])
  first = int(np.searchsorted(of_person, float(sound_start - SILENT_ENDS)))
  end = min(of_person[-1], float(sound_start + SILENT_ENDS) + len(speech) / SAMPLE_RATE - float(FRAME))
  if first == len(of_person) or end < of_person[first]:
    return _Piece(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0, np.int16))
  half_a_frame = min(0.5, FRAME_RATE * step / 2)  # of the source, in frames of the record
  count = int((end - of_person[first]) * FRAME_RATE + half_a_frame) + 1
  places = _nearest(of_person, of_person[first] + np.arange(count) / FRAME_RATE)
  heard = _heard(speech, round((times[person.first + first] - sound_start) * SAMPLE_RATE), count)
  return _Piece(person.first + places, person.boxes[places], heard)


def _nearest(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
  """For each wanted time, the place of the nearest of the rising times; of two equally near ones the earlier."""
  after = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1) if len(times) > 1 else np.zeros(len(wanted), int)
  before = np.maximum(after - 1, 0)
  return np.where(wanted - times[before] <= times[after] - wanted + 1e-9, before, after)


def _heard(speech: np.ndarray, first: int, frames: int) -> np.ndarray:
  """The sound of so many frames from this sample on, which may be negative, as int16; silence where there is none."""
  wanted = speech[max(first, 0) : max(first + frames * SAMPLES_A_FRAME, 0)]
  before = min(max(-first, 0), frames * SAMPLES_A_FRAME)
  padded = np.pad(wanted, (before, frames * SAMPLES_A_FRAME - before - len(wanted)))
  return np.clip(np.rint(padded * 32768), -32768, 32767).astype(np.int16)


def _crops(path: Path, pieces: Sequence[_Piece], size: int) -> list[list[bytes]]:
  """Cuts and codes the frames of all pieces while the video is read once."""
  jpegs: list[list[Any]] = [[None] * len(piece.indices) for piece in pieces]
  wanted: dict[int, list[tuple[int, int]]] = {}  # frame of the source -> (piece, place in it)
  for k, piece in enumerate(pieces):
    for place, index in enumerate(piece.indices):
      wanted.setdefault(int(index), []).append((k, place))
  indices = sorted(wanted)
  for index, frame in zip(indices, video.read_chosen(path, indices), strict=True):
    for k, place in wanted[index]:
      jpegs[k][place] = encode_frame(faces.crop(frame, pieces[k].boxes[place], size))
  return jpegs


def _ready_crop(path: Path, size: int) -> tuple[bytes, tuple[int, int, int, int]]:
  """A crop that somebody else cut, at our size, and its box: nobody knows where in the video it was."""
  image = cv2.imread(str(path), cv2.IMREAD_COLOR)
  if image is None:
    raise UserError(f'{path.name} is not a picture')
  height, width = image.shape[:2]
  return encode_frame(faces.crop(image[..., ::-1], (0, 0, width, height), size)), (0, 0, width, height)
