"""The held-out part of a video, dubbed with its own speech before and after tuning, and side by side with itself."""

import dataclasses
import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lpips_jax.audio.mel import SAMPLE_RATE
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole
from lpips_jax.dubbing import Dubber, Options
from lpips_jax.dubbing.boxes import read_boxes
from lpips_jax.faces import cropping
from lpips_jax.media import video_reader
from lpips_jax.media.containers import open_media
from lpips_jax.media.playback import play
from lpips_jax.media.speech import open_speech, write_speech
from lpips_jax.media.video_writer import write_video
from lpips_jax.media.ycbcr import Colours

FILMED, BEFORE, AFTER, BESIDE = 'filmed.mp4', 'before.mp4', 'after.mp4', 'beside.mp4'
BOXES, MADE_OF = 'boxes.json', 'made_of.json'
LONGEST = 15.0  # seconds
SIDE = 256  # pixels of each face in the video side by side
AROUND = 0.12  # of the box, by which those faces are cut larger on each side
COLUMNS = 8  # of the picture


def make(
  path: Path, seconds: float, generators: Sequence[Any], directory: Path, options: Options
) -> tuple[list[Path], np.ndarray]:
  """Makes the videos that are not there yet.

  Args:
    path: the video of the person.
    seconds: of its end that were held out.
    generators: the base and the tuned one, which `lpips_jax.load` made of their checkpoints.
    directory: gets `FILMED`, `BEFORE`, `AFTER` and `BESIDE`.
    options: how faces are found.

  Returns:
    The videos, and a picture: in each column a moment, filmed above before above after.

  Raises:
    UserError: the end of the video, which may not be what was held out of it, shows no face.
  """
  directory.mkdir(parents=True, exist_ok=True)
  videos = [directory / name for name in (FILMED, BEFORE, AFTER, BESIDE)]
  _forget_others(directory, [path.name, seconds, *(generator.fingerprint for generator in generators)], videos)
  filmed, before, after, beside = videos
  if not filmed.exists():
    cut_end(path, min(seconds, LONGEST), filmed)
  boxes = directory / BOXES
  options = dataclasses.replace(options, length='video')
  if not before.exists():
    Dubber(generators[0]).dub(filmed, filmed, before, dataclasses.replace(options, save_boxes=boxes))
  if not any(json.loads(boxes.read_text())):
    cli.fail(f'no face was found in the last {seconds:.0f} s of {path}: cut off what is there beside the person')
  if not after.exists():
    Dubber(generators[1]).dub(filmed, filmed, after, dataclasses.replace(options, boxes=boxes))
  if not beside.exists():
    _write_beside(beside, videos[:3], boxes)
  return videos, _moments(beside)


def cut_end(path: Path, seconds: float, output: Path) -> None:
  """Writes the last seconds of a video, with their sound, as a video that begins at 0, and of which a dub has as many
  frames.

  Args:
    path: the video.
    seconds: how many; all of it if it is shorter.
    output: an mp4.

  Raises:
    UserError: the video cannot be read, or the output not be written.
  """
  info = video_reader.probe(path)
  frames = info.frames or video_reader.count_frames(path)
  with open_media(path) as container:
    start = video_reader.picture_start(container) or Fraction(0)
  since = max(Fraction(0), frames / info.rate - Fraction(seconds))
  chosen = (shown for shown in play(path, info) if shown.time >= since)
  first = next(chosen, None)
  if first is None:
    cli.fail(f'{path} ends before its last {seconds:.0f} s begin: it may be damaged')
  sound_start, speech = open_speech(path)
  skipped = round((start + first.time - sound_start) * SAMPLE_RATE)
  heard = np.concatenate([np.zeros(max(-skipped, 0), np.float32), speech[max(skipped, 0) :]])
  with tempfile.TemporaryDirectory() as beside:
    track = Path(beside) / 'speech.wav'
    write_speech(track, np.clip(np.rint(32768 * heard), -32768, 32767).astype(np.int16))
    with write_video(output, info, track, whole_sound=False) as write:
      for shown in itertools.chain([first], chosen):
        write(shown.planes, shown.time - first.time)


def _forget_others(directory: Path, made_of: list[Any], videos: Sequence[Path]) -> None:
  """Removes what was made of another video or by other generators."""
  record = directory / MADE_OF
  if record.exists() and record.read_text() == json.dumps(made_of):
    return
  for made in videos:
    made.unlink(missing_ok=True)
  write_whole(record, json.dumps(made_of))


def _write_beside(path: Path, videos: Sequence[Path], boxes: Path) -> None:
  """Writes the faces of videos of equally many frames, from left to right, with the sound of the first."""
  info = video_reader.probe(videos[0])
  layout = dataclasses.replace(
    info, width=len(videos) * SIDE, height=SIDE, colours=Colours(), aspect=Fraction(1), still=False
  )
  with write_video(path, layout, videos[0], whole_sound=False) as write:
    places = _places(boxes)
    streams = [video_reader.read_timed(videos[0]), *(video_reader.read_frames(other) for other in videos[1:])]
    start = None
    for (time, frame), *others in zip(*streams, strict=False):
      start = time if start is None else start
      box = next(places)
      write(np.concatenate([cropping.crop(one, box, SIDE) for one in (frame, *others)], 1), time - start)


def _places(boxes: Path) -> Iterator[np.ndarray]:
  """Where to cut, frame by frame without end: around the face, or where it was last, or first, seen."""
  found = read_boxes(boxes)
  last = next(frame[0] for frame in found if frame)
  for frame in found:
    last = frame[0] if frame else last
    yield _around(last)
  while True:
    yield _around(last)


def _around(box: np.ndarray) -> np.ndarray:
  width, height = box[2:4] - box[:2]
  return box[:4] + AROUND * np.array([-width, -height, width, height])


def _moments(beside: Path) -> np.ndarray:
  """Some frames of the video side by side, each as a column: (3 h, n w, 3) uint8."""
  count = video_reader.count_frames(beside)
  chosen = np.unique(np.linspace(0, count - 1, COLUMNS + 2).round().astype(int)[1:-1])
  columns = [np.concatenate(np.split(frame, 3, 1), 0) for frame in video_reader.read_chosen(beside, chosen.tolist())]
  return np.concatenate(columns, 1)
