"""The preview of tuning: the held-out part of a video, dubbed with its own speech before and after."""

import dataclasses
import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lpips_jax import provenance
from lpips_jax.core.constants import SAMPLE_RATE
from lpips_jax.core.errors import UserError
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
from lpips_jax.pretrained import Pretrained

FILMED, BEFORE, AFTER, SIDE_BY_SIDE = 'filmed.mp4', 'before.mp4', 'after.mp4', 'beside.mp4'
BOXES_FILE, SOURCES_FILE = 'boxes.json', 'made_of.json'
MAX_PREVIEW_SECONDS = 15.0
FACE_SIZE = 256  # pixels of each face in the video side by side
FACE_MARGIN = 0.12  # of the bounding box, added on each side of those faces
MAX_MOMENTS = 8  # columns of the picture


class Preview(NamedTuple):
  """Videos and a picture that show the effect of tuning.

  Attributes:
    filmed, before, after: the end of the video, and its dubs by the base and by the tuned generator.
    side_by_side: the faces of those three, from left to right.
    moments: (h, w, 3) uint8 RGB: in each column a moment, filmed above before above after.
  """

  filmed: Path
  before: Path
  after: Path
  side_by_side: Path
  moments: np.ndarray


def make_preview(
  path: Path, seconds: float, base: Pretrained, tuned: Pretrained, directory: Path, options: Options
) -> Preview:
  """Makes the videos that do not exist yet.

  Args:
    path: the video of the person.
    seconds: length of the held-out part at its end.
    base: the generator before tuning.
    tuned: the generator after tuning.
    directory: for the videos, `FILMED`, `BEFORE`, `AFTER` and `SIDE_BY_SIDE`.
    options: choose the face detector.

  Raises:
    UserError: the end of the video shows no face; it may differ from what was held out.
  """
  directory.mkdir(parents=True, exist_ok=True)
  videos = [directory / name for name in (FILMED, BEFORE, AFTER, SIDE_BY_SIDE)]
  _remove_if_from_others(videos, directory / SOURCES_FILE, [path.name, seconds, base.fingerprint, tuned.fingerprint])
  filmed, before, after, side_by_side = videos
  if not filmed.exists():
    cut_end(path, min(seconds, MAX_PREVIEW_SECONDS), filmed)
  boxes = directory / BOXES_FILE
  options = dataclasses.replace(options, length='video')
  if not before.exists():
    Dubber(base).dub(filmed, filmed, before, dataclasses.replace(options, save_boxes=boxes))
  if not any(json.loads(boxes.read_text())):
    raise UserError(f'no face was found in the last {seconds:.0f} s of {path}: cut off an end that shows no face')
  if not after.exists():
    Dubber(tuned).dub(filmed, filmed, after, dataclasses.replace(options, boxes=boxes))
  if not side_by_side.exists():
    _write_side_by_side(side_by_side, videos[:3], boxes)
  return Preview(filmed, before, after, side_by_side, _moments(side_by_side))


def cut_end(path: Path, seconds: float, output: Path) -> None:
  """Writes the last seconds of a video, with their sound, as a video that begins at 0.

  Its frames are those that dubbing sees, so a dub of it has as many frames.

  Args:
    path: the video.
    seconds: length of the end; the whole video if that is shorter.
    output: an mp4 file.

  Raises:
    UserError: the video cannot be read, or the output cannot be written.
  """
  info = video_reader.probe(path)
  frames = info.frames or video_reader.count_frames(path)
  with open_media(path) as container:
    start = video_reader.picture_start(container) or Fraction(0)
  since = max(Fraction(0), frames / info.rate - Fraction(seconds))
  chosen = (shown for shown in play(path, info) if shown.time >= since)
  first = next(chosen, None)
  if first is None:
    raise UserError(f'{path} ends before its last {seconds:.0f} s begin: it may be damaged')
  sound_start, speech = open_speech(path)
  skipped = round((start + first.time - sound_start) * SAMPLE_RATE)
  heard = np.concatenate([np.zeros(max(-skipped, 0), np.float32), speech[max(skipped, 0) :]])
  with tempfile.TemporaryDirectory() as directory:
    track = Path(directory) / 'speech.wav'
    write_speech(track, np.clip(np.rint(32768 * heard), -32768, 32767).astype(np.int16))
    with write_video(output, info, track, whole_sound=False) as write:
      for shown in itertools.chain([first], chosen):
        write(shown.planes, shown.time - first.time)


def _remove_if_from_others(videos: Sequence[Path], record: Path, sources: list[Any]) -> None:
  """Removes videos that the record says were made from another video or by other generators, and updates the record."""
  if record.exists() and record.read_text() == json.dumps(sources):
    return
  for video in videos:
    video.unlink(missing_ok=True)
  write_whole(record, json.dumps(sources))


def _write_side_by_side(path: Path, videos: Sequence[Path], boxes: Path) -> None:
  """Writes the faces of videos with equally many frames from left to right, with the sound of the first."""
  info = video_reader.probe(videos[0])
  layout = dataclasses.replace(
    info, width=len(videos) * FACE_SIZE, height=FACE_SIZE, colours=Colours(), aspect=Fraction(1), still=False
  )
  marks = provenance.marks(provenance.Statement('dubbed'), videos[0])
  with write_video(path, layout, videos[0], whole_sound=False, marks=marks) as write:
    crops = _crop_boxes(boxes)
    streams = [video_reader.read_timed(videos[0]), *(video_reader.read_frames(other) for other in videos[1:])]
    start = None
    for (time, frame), *others in zip(*streams, strict=False):
      start = time if start is None else start
      box = next(crops)
      write(np.concatenate([cropping.crop(each, box, FACE_SIZE) for each in (frame, *others)], 1), time - start)


def _crop_boxes(boxes: Path) -> Iterator[np.ndarray]:
  """Yields a box around the face for each frame, without end: where it is, was last seen, or will first be seen."""
  found = read_boxes(boxes)
  last = next(frame[0] for frame in found if frame)
  for frame in found:
    last = frame[0] if frame else last
    yield _with_margin(last)
  while True:
    yield _with_margin(last)


def _with_margin(box: np.ndarray) -> np.ndarray:
  width, height = box[2:4] - box[:2]
  return box[:4] + FACE_MARGIN * np.array([-width, -height, width, height])


def _moments(side_by_side: Path) -> np.ndarray:
  """Returns some frames of the video side by side, each as a column: (3 h, n w, 3) uint8."""
  count = video_reader.count_frames(side_by_side)
  chosen = np.unique(np.linspace(0, count - 1, MAX_MOMENTS + 2).round().astype(int)[1:-1])
  frames = video_reader.read_chosen(side_by_side, chosen.tolist())
  return np.concatenate([np.concatenate(np.split(frame, 3, 1), 0) for frame in frames], 1)
