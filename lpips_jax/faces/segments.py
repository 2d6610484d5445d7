"""Segments of a video that networks can use: one person in one shot, at 25 frames a second, with the sound."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from lpips_jax.audio.chunks import CHUNK_SIZE, Sound, in_chunks
from lpips_jax.core.constants import FRAME_RATE, SAMPLE_RATE, SAMPLES_PER_FRAME
from lpips_jax.core.files import PathLike
from lpips_jax.faces.detect import Detect
from lpips_jax.faces.scan import MAX_STILL_SECONDS, scan_video
from lpips_jax.faces.tracks import FaceTrack, track_faces
from lpips_jax.media import video_reader
from lpips_jax.media.speech import open_speech

MAX_SILENT_SECONDS = Fraction(1, 10)  # a segment may begin this long before its sound, or end this long after it
FRAME_SECONDS = Fraction(1, FRAME_RATE)


@dataclass(frozen=True, eq=False)
class Segment:
  """One person, for as long as they are seen and there is sound.

  Attributes:
    indices: (t,) the number of the source's frame at each 25th of a second.
    boxes: (t, 5) their face in it: left, top, right, bottom in pixels, and the roll; see `faces.rotated_boxes`.
    audio: (640 t,) int16 at 16 kHz, from the first of these frames on.
  """

  indices: np.ndarray
  boxes: np.ndarray
  audio: np.ndarray


def find_segments(path: PathLike, find: Detect, everybody: bool) -> tuple[float, list[Segment]]:
  """Reads a video once for its faces, and once for its sound.

  Args:
    path: the video.
    find: from `faces.detect.make_detector`.
    everybody: whether to return all people of a shot, or the most prominent one alone.

  Returns:
    The seconds of picture in the video, and the segments by their first frame; some may be empty.

  Raises:
    UserError: the file cannot be read, or lacks pictures or sound.
  """
  sound_start, speech = open_speech(path)
  seen = scan_video(path, find)
  steps = np.diff([float(time) for time in seen.times])
  step = float(np.median(steps)) if len(steps) else float(1 / seen.info.rate)  # gaps would distort the mean
  cuts = sorted({*seen.cuts, *(np.flatnonzero(steps > MAX_STILL_SECONDS) + 1).tolist()})
  people = track_faces(seen.faces, cuts, 1 / step, (seen.info.width, seen.info.height))
  if not everybody:
    people = _most_prominent_of_each_shot(people, cuts)
  seconds = float(np.minimum(steps, MAX_STILL_SECONDS).sum() + step)
  stretches = [_stretch(person, seen.times, step, sound_start, len(speech)) for person in people]
  sounds = sounds_of(speech, [(one.heard_from, len(one.indices)) for one in stretches])
  return seconds, [Segment(one.indices, one.boxes, heard) for one, heard in zip(stretches, sounds, strict=True)]


def read_segments(path: PathLike, segments: Sequence[Segment]) -> Iterator[tuple[np.ndarray, list[tuple[int, int]]]]:
  """Yields each frame that segments show, once, with where they show it.

  Yields:
    The frame, (h, w, 3) uint8 RGB, and for each of its uses the number of the segment, and of the frame in it.
  """
  wanted: dict[int, list[tuple[int, int]]] = {}
  for k, segment in enumerate(segments):
    for position, index in enumerate(segment.indices):
      wanted.setdefault(int(index), []).append((k, position))
  indices = sorted(wanted)
  for index, frame in zip(indices, video_reader.read_chosen(path, indices), strict=False):  # a shorter video ends it
    yield frame, wanted[index]


def sound_of(speech: Sound, first: int, frames: int) -> np.ndarray:
  """Returns the sound beside a number of frames as int16, with silence where there is none.

  Args:
    speech: (S,) float in [-1, 1] at 16 kHz.
    first: the first sample; may be negative.
    frames: how many frames of 640 samples.
  """
  return sounds_of(speech, [(first, frames)])[0]


def sounds_of(speech: Sound, stretches: Sequence[tuple[int, int]]) -> list[np.ndarray]:
  """Like `sound_of` for several stretches (first, frames); chunked speech is read only once."""
  sounds = [np.zeros(frames * SAMPLES_PER_FRAME, np.int16) for _, frames in stretches]
  begin = 0
  for chunk in in_chunks(speech, CHUNK_SIZE):
    coded = np.clip(np.rint(chunk * 32768), -32768, 32767).astype(np.int16)
    end = begin + len(chunk)
    for (first, _), sound in zip(stretches, sounds, strict=True):
      since, until = max(first, begin), min(first + len(sound), end)
      if since < until:
        sound[since - first : until - first] = coded[since - begin : until - begin]
    begin = end
  return sounds


def _most_prominent_of_each_shot(people: Sequence[FaceTrack], cuts: Sequence[int]) -> list[FaceTrack]:
  shots: dict[int, FaceTrack] = {}
  for person in people:
    shot = int(np.searchsorted(cuts, person.first, side='right'))
    if shot not in shots or person.prominence > shots[shot].prominence:
      shots[shot] = person
  return list(shots.values())


class _Stretch(NamedTuple):
  """A segment without its sound.

  Attributes:
    indices, boxes: see `Segment`.
    heard_from: the sample at which its sound begins.
  """

  indices: np.ndarray
  boxes: np.ndarray
  heard_from: int


def _stretch(
  person: FaceTrack, times: Sequence[Fraction], step: float, sound_start: Fraction, samples: int
) -> _Stretch:
  """Lays a grid of 25 frames a second over the time for which a person is seen and there is sound.

  The grid begins with a frame of the source, and each of its points shows the frame that is nearest in time: at most
  half a source frame off, not off in the mean, and exact where the source has 25, 50 or 75 frames a second.
  """
  of_person = np.array([float(time) for time in times[person.first : person.first + len(person.boxes)]])
  first = int(np.searchsorted(of_person, float(sound_start - MAX_SILENT_SECONDS)))
  end = min(of_person[-1], float(sound_start + MAX_SILENT_SECONDS) + samples / SAMPLE_RATE - float(FRAME_SECONDS))
  if first == len(of_person) or end < of_person[first]:
    return _Stretch(np.zeros(0, int), np.zeros((0, 5)), 0)
  half_a_frame = min(0.5, FRAME_RATE * step / 2)  # of the source, in frames of the segment
  count = int((end - of_person[first]) * FRAME_RATE + half_a_frame) + 1
  places = _nearest(of_person, of_person[first] + np.arange(count) / FRAME_RATE)
  heard_from = round((times[person.first + first] - sound_start) * SAMPLE_RATE)
  return _Stretch(person.first + places, person.boxes[places], heard_from)


def _nearest(times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
  """Returns for each wanted time the index of the nearest of the rising times; of two equally near ones the earlier."""
  after = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1) if len(times) > 1 else np.zeros(len(wanted), int)
  before = np.maximum(after - 1, 0)
  return np.where(wanted - times[before] <= times[after] - wanted + 1e-9, before, after)
