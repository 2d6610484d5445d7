"""Turns: a transcript of who says what and when, from which an interview is dubbed in one run.

It is a JSON list; each turn has `begin` and `end` in seconds of the film, `face`, the number of the face from the left
or [x, y, t] as for `face_at`, and `audio`, a file, or `text` with an optional `voice`. Each person gets a track of
their own: what they say in their turns, and a mouth at rest elsewhere. Whoever has no turn stays as filmed.
"""

import contextlib
import itertools
import json
import math
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from absl import logging

from lpips_jax.audio.phones import TimedPhone
from lpips_jax.core.constants import SAMPLE_RATE
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, read_regular
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.speech import resampled
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.storage.transfer import local_input

MIX_RATE = 48000  # Hz, of the sound of the dub
FADE_SECONDS = 0.02  # at the end of what is too long for its turn
SLACK_SECONDS = 0.02  # by which it may be too long without a remark
MAX_NUMBER = 1e9  # of seconds or pixels
FIELDS = 'begin', 'end', 'face', 'audio', 'text', 'voice'
FORMAT = (
  'a JSON list of turns, each {"begin": seconds, "end": seconds, "face": number or [x, y, t], "audio": file}, or "text"'
)

Face = int | tuple[float, float, float]


@dataclass(frozen=True)
class Turn:
  """One turn.

  Attributes:
    begin, end: seconds of the film.
    face: the number of the face from the left, or a place in pixels and a time in seconds.
    audio: what is said, a file with a sound track; None until a voice has said `text`.
    text, voice: what is said, and by whom.
    said: the phones of `audio`, as in `Options`.
  """

  begin: float
  end: float
  face: Face
  audio: PathLike | None = None
  text: str | None = None
  voice: str | None = None
  said: Sequence[TimedPhone] | None = None


@dataclass(frozen=True, eq=False)
class Interview:
  """Turns whose sound is mixed.

  Attributes:
    faces: the people, as turns name them.
    tracks: of each of them what they say, (S,) float32 at 16 kHz, from the first frame on.
    spans: of each of them the begin and the end of their turns.
    said: of each of them the phones, None where some turn has none.
    mix: a WAV file in which all of them are heard.
  """

  faces: list[Face]
  tracks: list[np.ndarray]
  spans: list[list[tuple[float, float]]]
  said: list[list[TimedPhone] | None]
  mix: Path


def read_turns(path: PathLike) -> list[Turn]:
  """Reads a transcript, which may be in a bucket, as may its sounds; file names are relative to the current directory.

  Raises:
    UserError: the file cannot be read, or a turn is no turn; the line names it, 1 being the first.
  """
  try:
    with local_input(path) as file:
      listed = json.loads(read_regular(file).decode('utf-8-sig'))
  except OSError as error:
    raise UserError(f'the turns {path} cannot be read: {error.strerror}') from error
  except (ValueError, RecursionError) as error:
    raise UserError(f'turns: {path} is not {FORMAT}', 'turns') from error
  if not isinstance(listed, list) or not listed:
    raise UserError(f'turns: {path} is not {FORMAT}', 'turns')
  turns = [_parsed(number, given) for number, given in enumerate(listed, start=1)]
  _check_overlaps(turns)
  return turns


@contextlib.contextmanager
def mixed(turns: Sequence[Turn], info: VideoInfo, max_minutes: float = math.inf) -> Iterator[Interview]:
  """Mixes the sound of turns, for as long as the film, or the last turn; the file lasts as long as the context.

  Raises:
    UserError: a turn ends after `max_minutes`, or has no audio that can be read.
  """
  for number, turn in enumerate(turns, start=1):
    if turn.end > 60 * max_minutes:
      raise UserError(
        f'turns: turn {number} ends after {max_minutes:g} minutes: raise max_minutes', 'turns', 'max_minutes'
      )
  faces = list(dict.fromkeys(turn.face for turn in turns))
  film = Fraction(0) if info.frames is None or info.still else info.frames / info.rate
  seconds = max(float(film), *(turn.end for turn in turns))
  mix = np.zeros(math.ceil(seconds * MIX_RATE), np.float32)
  tracks = [np.zeros(math.ceil(seconds * SAMPLE_RATE), np.float32) for _ in faces]
  for number, turn in enumerate(turns, start=1):
    sound = _read(number, turn)
    for track, rate in ((mix, MIX_RATE), (tracks[faces.index(turn.face)], SAMPLE_RATE)):
      _place(track, sound[rate], turn, rate)
  peak = float(np.abs(mix).max(initial=1.0))
  spans = [[(turn.begin, turn.end) for turn in turns if turn.face == face] for face in faces]
  said = [_said([turn for turn in turns if turn.face == face]) for face in faces]
  with tempfile.TemporaryDirectory() as directory:
    path = Path(directory) / 'turns.wav'
    with wave.open(str(path), 'wb') as file:
      file.setparams((1, 2, MIX_RATE, 0, 'NONE', 'not compressed'))
      file.writeframes(np.round(32767 / peak * mix).astype('<i2').tobytes())
    yield Interview(faces, tracks, spans, said, path)


def _said(turns: Sequence[Turn]) -> list[TimedPhone] | None:
  """Returns the phones of one person's turns, in seconds of the film."""
  said: list[TimedPhone] = []
  for turn in sorted(turns, key=lambda turn: turn.begin):
    if turn.said is None:
      return None
    said += [('', turn.begin), *((phone, min(turn.begin + end, turn.end)) for phone, end in turn.said)]
  return said


def _parsed(number: int, given: Any) -> Turn:
  if not isinstance(given, dict) or set(given) - set(FIELDS):
    raise UserError(f'turns: turn {number} is no turn: its fields are {", ".join(FIELDS)}', 'turns')
  begin, end, face = (given.get(name, math.nan) for name in ('begin', 'end', 'face'))
  if not (_is_number(begin) and _is_number(end) and 0 <= begin < end):
    raise UserError(f'turns: turn {number} needs begin and end in seconds, with 0 <= begin < end', 'turns')
  if isinstance(face, list) and len(face) == 3 and all(_is_number(x) and x >= 0 for x in face):
    face = tuple(face)
  elif not isinstance(face, int) or isinstance(face, bool) or face < 0:
    raise UserError(f'turns: turn {number} needs face, 0 for the leftmost, or [x, y, t]', 'turns')
  said_by = {name: given[name] for name in ('audio', 'text', 'voice') if given.get(name) is not None}
  if not all(isinstance(value, str) for value in said_by.values()) or ('audio' in said_by) == ('text' in said_by):
    raise UserError(f'turns: turn {number} needs either audio, a file, or text', 'turns')
  if 'voice' in said_by and 'text' not in said_by:
    raise UserError(f'turns: turn {number} has a voice but no text', 'turns')
  return Turn(float(begin), float(end), face, **said_by)


def _is_number(value: object) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_NUMBER


def _check_overlaps(turns: Sequence[Turn]) -> None:
  order = sorted(range(len(turns)), key=lambda k: turns[k].begin)
  for face in {turn.face for turn in turns}:
    mine = [k for k in order if turns[k].face == face]
    for before, after in itertools.pairwise(mine):
      if turns[after].begin < turns[before].end:
        both = f'turns {min(before, after) + 1} and {max(before, after) + 1}'
        raise UserError(f'turns: {both} overlap, and one person has both: shorten one of them', 'turns')


def _read(number: int, turn: Turn) -> dict[int, np.ndarray]:
  """Returns what is said in a turn at both rates, as long as the turn or shorter."""
  if turn.audio is None:
    raise UserError(
      f'turns: turn {number} has a text: open the turns by speaking.driving.driving_speech, which says it', 'turns'
    )
  try:
    with local_input(turn.audio) as file:
      sound = {rate: _samples(file, rate) for rate in (MIX_RATE, SAMPLE_RATE)}
  except UserError as error:
    raise UserError(f'turns: turn {number}: {error}', 'turns') from error
  extra = len(sound[SAMPLE_RATE]) / SAMPLE_RATE - (turn.end - turn.begin)
  if extra > SLACK_SECONDS:
    logging.warning('turns: the sound of turn %d is %.2f s too long for it, and is cut', number, extra)
  return sound


def _samples(path: PathLike, rate: int) -> np.ndarray:
  """Reads the sound track of a file as one channel, (S,) float32."""
  with open_media(path) as container:
    if not container.streams.audio:
      raise UserError(f'{path} has no sound track')
    frames = decode(container, container.streams.audio[0])
    parts = [piece.to_ndarray()[0] for piece in resampled(frames, av.AudioLayout('mono'), rate)]
  if not parts:
    raise UserError(f'{path} has no sound that can be decoded')
  return np.nan_to_num(np.concatenate(parts))


def _place(track: np.ndarray, sound: np.ndarray, turn: Turn, rate: int) -> None:
  """Adds what is said to a track, in its turn."""
  begin, room = round(turn.begin * rate), round((turn.end - turn.begin) * rate)
  heard = sound[: min(room, len(track) - begin)].copy()
  if len(sound) > room:
    fade = min(len(heard), round(FADE_SECONDS * rate))
    heard[len(heard) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
  track[begin : begin + len(heard)] += heard
