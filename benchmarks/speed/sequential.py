"""The straightforward way to dub, as in most code: one step after the other, each for all frames.

It reads and keeps all frames, finds the face in every one at full size, crops faces, generates them in batches, pastes
them into whole pictures, and writes everything at the end. `benchmarks.speed.dub` compares our engine with it.
"""

import itertools
import math
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from lpips_jax.core.constants import SAMPLE_RATE
from lpips_jax.dubbing.compositing import MouthGenerator
from lpips_jax.dubbing.speech import Speech
from lpips_jax.faces import cropping
from lpips_jax.faces.detect import Detect
from lpips_jax.faces.tracks import track_faces
from lpips_jax.media.pictures import to_uint8
from lpips_jax.media.speech import load_driving_speech
from lpips_jax.media.video_reader import VideoInfo, count_frames, probe, read_frames
from lpips_jax.media.video_writer import write_video

FULL_SIZE = 100_000  # pixels: as a detector's longest side it reduces no frame


def dub(
  face: Path, audio: Path, output: Path, count: int, generator: MouthGenerator, find: Detect
) -> tuple[dict[str, float], np.ndarray]:
  """Dubs the first frames of a film.

  Args:
    face: a film that shows one person, or one more than others.
    audio: the driving speech.
    output: the film to write.
    count: number of frames.
    generator: generates faces; nothing else runs meanwhile.
    find: finds faces in a frame, (h, w, 3) uint8.

  Returns:
    Seconds by step, of `faces` (find, crop and paste together), and `end_to_end`; and the boxes, (count, 5), NaN in
    frames without one.
  """
  begun = last = time.perf_counter()
  seconds: dict[str, float] = {}

  def lap(name: str) -> None:
    nonlocal last
    now = time.perf_counter()
    seconds[name] = seconds.get(name, 0.0) + now - last
    last = now

  info = probe(face)
  frames = list(itertools.islice(read_frames(face), count))
  lap('decode')
  boxes = find_boxes(frames, find, info)
  lap('find')
  speech = Speech(load_driving_speech(audio)[1], False)
  lap('hear')
  shown = [k for k in range(len(frames)) if np.isfinite(boxes[k, 0])]
  for first in range(0, len(shown), generator.batch_size):
    batch = shown[first : first + generator.batch_size]
    crops = [cropping.crop(frames[k], boxes[k], generator.image_size) for k in batch]
    lap('crop')
    windows = speech([k / info.rate for k in batch], generator.lead)
    images = generated(generator, crops, windows)
    lap('generate')
    for k, image in zip(batch, to_uint8(images), strict=True):
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
  """Detects faces in every frame; returns the most prominent person's boxes, (frames, 5), NaN in frames without one."""
  boxes = np.full((len(frames), 5), np.nan)
  people = track_faces([find(frame) for frame in frames], [], info.rate, (info.width, info.height))
  if people:
    one = max(people, key=lambda person: person.prominence)
    boxes[one.first : one.first + len(one.boxes)] = one.boxes
  return boxes


def generated(generator: MouthGenerator, crops: Sequence[np.ndarray], windows: np.ndarray) -> np.ndarray:
  """Generates a batch with each face as its own reference: (n, s, s, 3) in [0, 1]."""
  parts = [slice(first, first + generator.part_size) for first in range(0, len(crops), generator.part_size)]
  futures = [generator(crops[part], crops[part], windows[part]) for part in parts]
  return np.concatenate([future.result() for future in futures])


def edges_apart(ours: Iterable[np.ndarray], theirs: np.ndarray) -> np.ndarray:
  """Distances between the edges of boxes, (frames, 5) twice: (frames, 4), in widths of the face."""
  return np.abs(np.asarray(list(ours)) - theirs)[:, :4] / (theirs[:, 2:3] - theirs[:, :1])


def frames_to_dub(face: Path, audio: Path) -> int:
  """Returns the number of frames of a dub that is as long as the shorter of the two."""
  speech_seconds = Fraction(len(load_driving_speech(audio)[1]), SAMPLE_RATE)
  return min(count_frames(face), max(1, math.ceil(speech_seconds * probe(face).rate)))
