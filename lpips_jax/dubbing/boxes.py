"""Files that say where the faces to be dubbed are, frame by frame."""

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import write_whole
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.selection import Choose, follow
from lpips_jax.faces import rotated_boxes
from lpips_jax.faces.detect import Detect
from lpips_jax.media.playback import Shown
from lpips_jax.media.video_reader import VideoInfo

LARGEST = 4  # times the longer side of the picture; a larger box is a mistake
FORM = 'a JSON list with [left, top, right, bottom] (and degrees), a list of such boxes, or null for each frame'

Boxes = list[
  np.ndarray
]  # of one frame, (5,) float each: left, top, right, bottom in pixels, roll; see faces.rotated_boxes


def read_boxes(path: str | os.PathLike[str]) -> list[Boxes]:
  """Reads the boxes of each frame from a JSON list with a box, a list of boxes or null for each.

  A box has four numbers, or five where the head tilts: by so many degrees, clockwise, it is turned about its middle.

  Raises:
    UserError: the file cannot be read, or does not hold such a list, or no box at all.
  """
  try:
    with open(path, encoding='utf-8-sig') as file:
      frames = json.load(file)
    if not isinstance(frames, list):
      raise ValueError
    boxes = [_of_frame(frame) for frame in frames]
  except OSError as error:
    raise UserError(f'the boxes {path} cannot be read: {error.strerror}') from error
  except (ValueError, TypeError, OverflowError, RecursionError) as error:
    raise UserError(f'{path} is not {FORM}') from error
  if not any(boxes):
    raise UserError(f'{path} is not {FORM}, with a box for at least one frame')
  return boxes


def write_boxes(path: str | os.PathLike[str], frames: Sequence[Boxes]) -> None:
  """Writes what `read_boxes` reads, to the last digit: a hundredth of a pixel shows in a dub."""
  rows = [[_as_numbers(box) for box in boxes] for boxes in frames]
  lines = ',\n'.join(json.dumps(None if not row else row[0] if len(row) == 1 else row) for row in rows)
  write_whole(Path(path), f'[\n{lines}\n]\n')


def grown(box: np.ndarray, pads: Sequence[int], info: VideoInfo, frame: int) -> np.ndarray:
  """Returns a box with pixels added at the top, bottom, left and right of the head, in Wav2Lip's order.

  Raises:
    UserError: it comes out less than a pixel wide or high, or much larger than the picture that `info` is of.
  """
  top, bottom, left, right = pads
  box = rotated_boxes.grown(box, left, top, right, bottom)
  width, height = box[2:4] - box[:2]
  if not (min(width, height) >= 1 and max(width, height) <= LARGEST * max(info.width, info.height)):
    raise UserError(
      f'the face box of frame {frame} is {width:.0f} x {height:.0f} pixels in a picture of {info.width} x '
      f'{info.height}: give other --boxes or --pads'
    )
  return box


def _as_numbers(box: np.ndarray) -> list[float]:
  degrees = np.degrees(rotated_boxes.unwrapped(rotated_boxes.roll_of(box), 0))
  return [float(number) for number in (*box[:4], *([degrees] if degrees else []))]


def _of_frame(frame: object) -> Boxes:
  if frame is None:
    return []
  if not isinstance(frame, list):
    raise ValueError
  return [_box(box) for box in (frame if not frame or isinstance(frame[0], list) else [frame])]


def _box(numbers: object) -> np.ndarray:
  box = np.array(numbers, np.float64)
  if box.shape not in ((4,), (5,)) or not np.isfinite(box).all():
    raise ValueError
  return np.append(box[:4], np.radians(box[4]) if len(box) > 4 else 0.0)


class Locator(Protocol):
  """Says where faces are; for one video, once.

  Attributes:
    found: the boxes of each frame of the source, before they grew.
  """

  found: list[Boxes]

  def __call__(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, Boxes]]:
    """Yields frames with their boxes, grown by `Options.pads`."""


class GivenBoxes:
  """Reads `Options.boxes`; frames of which it says nothing are left alone.

  Raises:
    UserError: on construction, when the file cannot be read, or a box cannot be.
  """

  def __init__(self, options: Options, info: VideoInfo) -> None:
    self.found = read_boxes(options.boxes)
    self._grown = [[grown(box, options.pads, info, frame) for box in boxes] for frame, boxes in enumerate(self.found)]

  def __call__(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, Boxes]]:
    for shown in frames:
      yield shown, self._grown[shown.index] if shown.index < len(self._grown) else []


class FoundBoxes:
  """Finds faces in frames that are seen for the first time, and remembers them for when the video plays backwards."""

  def __init__(
    self, face: str | os.PathLike[str], info: VideoInfo, find: Detect, choose: Choose, options: Options
  ) -> None:
    self._face, self._info, self._find, self._choose, self._options = face, info, find, choose, options
    self.found: list[Boxes] = []

  def __call__(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, Boxes]]:
    """As `Locator` says; raises UserError when no frame has shown a face."""
    frames = iter(frames)
    repeated: list[Shown] = []

    def fresh() -> Iterator[Shown]:
      for number, shown in enumerate(frames):
        if shown.index < number:
          repeated.append(shown)
          return
        yield shown

    for shown, boxes in follow(fresh(), self._find, self._info, self._choose):
      self.found.append(boxes)
      yield shown, self._grown(shown.index)
    if not any(self.found):
      raise UserError(f'{os.fspath(self._face)} shows no {self._wanted()} in any of its {len(self.found)} frames')
    for shown in itertools.chain(repeated, frames):
      yield shown, self._grown(shown.index)

  def _wanted(self) -> str:
    most = getattr(self._choose, 'most', 0)
    if not most:
      return 'face'
    return f'face number {self._options.face_index} from the left (0 is the first, {most - 1} the last at any time)'

  def _grown(self, frame: int) -> Boxes:
    return [grown(box, self._options.pads, self._info, frame) for box in self.found[frame]]
