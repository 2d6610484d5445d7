"""The straightforward way to dub, which most code takes: one step after the other, each for all frames.

All frames are read and kept; the face is found in every one, at full size; faces are cropped, generated in batches and
pasted into whole pictures; then everything is written. `benchmarks.dub` sets our engine beside it.
"""

import itertools
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from lpips_jax.audio.mel import SAMPLE_RATE
from lpips_jax.dubbing.speech import Speech
from lpips_jax.faces import cropping
from lpips_jax.faces.detect import Detect
from lpips_jax.faces.tracks import track_faces
from lpips_jax.media.pictures import to_bytes
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import VideoInfo, count_frames, probe, read_frames
from lpips_jax.media.video_writer import write_video

AS_LARGE = 100_000  # pixels, for detectors: no frame is reduced to this


class Generator(Protocol):
  """What gives faces new mouths: see `lpips_jax.dubbing.generator.Generator`."""

  batch_size: int
  part: int
  image_size: int
  lead: Fraction

  def __call__(
    self, crops: Sequence[np.ndarray], references: Sequence[np.ndarray], windows: np.ndarray
  ) -> Future[np.ndarray]: ...


def dub(
  face: Path, audio: Path, output: Path, count: int, generator: Generator, find: Detect
) -> tuple[dict[str, float], np.ndarray]:
  """Dubs the first frames of a film.

  Args:
    face: a film that shows one person, or one more than others.
    audio: what is said.
    output: the film to write.
    count: how many frames.
    generator: makes mouths; nothing else happens meanwhile.
    find: finds faces in a frame, (h, w, 3) uint8.

  Returns:
    Seconds by step, of what `faces` take (found, cropped and pasted), and `end_to_end`; and the boxes, (count, 5), NaN
    where there are none.
  """
  begun = marks = time.perf_counter()
  seconds = {}

  def lap(name: str) -> None:
    nonlocal marks
    now = time.perf_counter()
    seconds[name] = seconds.get(name, 0.0) + now - marks
    marks = now

  info = probe(face)
  frames = list(itertools.islice(read_frames(face), count))
  lap('decode')
  boxes = find_boxes(frames, find, info)
  lap('find')
  speech = Speech(load_driving_speech(audio)[1], False)
  lap('hear')
  shown = [k for k in range(len(frames)) if np.isfinite(boxes[k, 0])]
  for first in range(0, len(shown), generator.batch_size):
    some = shown[first : first + generator.batch_size]
    crops = [cropping.crop(frames[k], boxes[k], generator.image_size) for k in some]
    lap('crop')
    windows = speech([k / info.rate for k in some], generator.lead)
    made = generated(generator, crops, windows)
    lap('generate')
    for k, image in zip(some, to_bytes(made), strict=True):
      frames[k] = cropping.paste(frames[k], boxes[k], image)
    lap('paste')
  with write_video(output, info, audio, whole_sound=False) as write:
    for frame in frames:
      write(frame)
  lap('encode')
  seconds['faces'] = sum(seconds.get(name, 0.0) for name in ('find', 'crop', 'paste'))
  seconds['end_to_end'] = time.perf_counter() - begun
  return seconds, boxes


def find_boxes(frames: Sequence[np.ndarray], find: Detect, info: VideoInfo) -> np.ndarray:
  """Where the most prominent person's face is, looked for in every frame: (frames, 5), NaN where they are not."""
  boxes = np.full((len(frames), 5), np.nan)
  people = track_faces([find(frame) for frame in frames], [], info.rate, (info.width, info.height))
  if people:
    one = max(people, key=lambda person: person.prominence)
    boxes[one.first : one.first + len(one.boxes)] = one.boxes
  return boxes


def generated(generator: Generator, crops: Sequence[np.ndarray], windows: np.ndarray) -> np.ndarray:
  """The images of a batch, (n, s, s, 3) in [0, 1], each face being its own reference."""
  parts = [slice(first, first + generator.part) for first in range(0, len(crops), generator.part)]
  begun = [generator(crops[part], crops[part], windows[part]) for part in parts]
  return np.concatenate([images.result() for images in begun])


def edges_apart(ours: Iterable[np.ndarray], theirs: np.ndarray) -> np.ndarray:
  """How far the edges of boxes, (frames, 5) twice, lie from each other: (frames, 4), in widths of the face."""
  return np.abs(np.asarray(list(ours)) - theirs)[:, :4] / (theirs[:, 2:3] - theirs[:, :1])


def frames_to_dub(face: Path, audio: Path) -> int:
  """How many frames a dub has that is as long as the shorter of the two."""
  spoken = Fraction(len(load_driving_speech(audio)[1]), SAMPLE_RATE)
  return min(count_frames(face), max(1, -(-spoken * probe(face).rate // 1)))
