"""The boxes of the faces to be dubbed, frame by frame: read from a file, or found by a detector and written to one."""

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, read_regular, write_whole
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.selection import Choose, FollowOne, follow
from lpips_jax.faces import rotated_boxes
from lpips_jax.faces.detect import Detect
from lpips_jax.media.playback import PlayedFrame
from lpips_jax.media.video_reader import VideoInfo

MAX_BOX_SCALE = 4  # times the longer side of the picture; a larger box is a mistake
FORMAT = 'a JSON list with [left, top, right, bottom] (and degrees), a list of such boxes, or null for each frame'

# The boxes of one frame, (5,) float each: left, top, right, bottom in pixels, and the roll; see `faces.rotated_boxes`.
Boxes = list[np.ndarray]


class Located(NamedTuple):
  """A face to be dubbed in one frame.

  Attributes:
    box: (5,); see `Boxes`.
    voice: the number of the speech that it says.
  """

  box: np.ndarray
  voice: int = 0


class Locator(Protocol):
  """Locates the faces to be dubbed in one video, once."""

  def __call__(self, frames: Iterable[PlayedFrame]) -> Iterator[tuple[PlayedFrame, list[Located]]]:
    """Yields frames with the faces to be dubbed, whose boxes are padded by `Options.pads`."""

  def source_boxes(self) -> list[Boxes]:
    """Returns the boxes of each source frame that has been located so far, before padding: `Options.save_boxes`."""


class GivenBoxes:
  """A locator that reads `Options.boxes`; frames for which the file has no boxes are left alone.

  Raises:
    UserError: on construction, when the file cannot be read, or a box is too small or too large.
  """

  def __init__(self, path: PathLike, pads: Sequence[int], info: VideoInfo) -> None:
    self._given = read_boxes(path)
    self._padded = [
      [Located(padded(box, pads, info, frame)) for box in boxes] for frame, boxes in enumerate(self._given)
    ]

  def __call__(self, frames: Iterable[PlayedFrame]) -> Iterator[tuple[PlayedFrame, list[Located]]]:
    for shown in frames:
      yield shown, self._padded[shown.index] if shown.index < len(self._padded) else []

  def source_boxes(self) -> list[Boxes]:
    return self._given


class FoundBoxes:
  """A locator that detects faces when a frame first appears, and remembers them for when the video plays backwards.

  Args:
    face: the video, for messages.
    info: what `probe` says of it.
    find: from `faces.detect.make_detector`.
    choose: decides which of the people in a frame are dubbed; see `selection`.
    options: of the dub.
    voices: returns the voices of those who were chosen in a frame; by default all have one.
  """

  def __init__(
    self,
    face: PathLike,
    info: VideoInfo,
    find: Detect,
    choose: Choose,
    options: Options,
    voices: Callable[[int], Sequence[int]] | None = None,
  ) -> None:
    self._face, self._info, self._find, self._choose, self._options = face, info, find, choose, options
    self._found: list[Boxes] = []
    self._voices = voices

  def __call__(self, frames: Iterable[PlayedFrame]) -> Iterator[tuple[PlayedFrame, list[Located]]]:
    """See `Locator`.

    Raises:
      UserError: no frame shows a face.
    """
    frames = iter(frames)
    first_repeated: list[PlayedFrame] = []

    def new_frames() -> Iterator[PlayedFrame]:
      for number, shown in enumerate(frames):
        if shown.index < number:
          first_repeated.append(shown)
          return
        yield shown

    for shown, boxes in follow(new_frames(), self._find, self._info, self._choose):
      self._found.append(boxes)
      yield shown, self._padded(shown.index)
    if not any(self._found):
      raise UserError(f'{os.fspath(self._face)} shows no {self._wanted()} in any of its {len(self._found)} frames')
    for shown in itertools.chain(first_repeated, frames):
      yield shown, self._padded(shown.index)

  def source_boxes(self) -> list[Boxes]:
    return self._found

  def _padded(self, frame: int) -> list[Located]:
    boxes = [padded(box, self._options.pads, self._info, frame) for box in self._found[frame]]
    voices = [0] * len(boxes) if self._voices is None else self._voices(frame)
    return [Located(*each) for each in zip(boxes, voices, strict=True)]

  def _wanted(self) -> str:
    visible = self._choose.most_visible if isinstance(self._choose, FollowOne) else 0
    if not visible:
      return 'face' if isinstance(self._choose, FollowOne) else 'face that is to be dubbed'
    most = 'never more than one face is' if visible == 1 else f'never more than {visible} faces are'
    return f'face number {self._options.face_index} from the left, 0 being the first ({most} visible)'


def padded(box: np.ndarray, pads: Sequence[int], info: VideoInfo, frame: int) -> np.ndarray:
  """Returns a box, (5,), with pixels added at the top, bottom, left and right of the head: Wav2Lip's order.

  Args:
    box: see `Boxes`.
    pads: the four numbers of pixels.
    info: the size of the picture.
    frame: the number of the frame, for messages.

  Raises:
    UserError: the result is less than a pixel wide or high, or much larger than the picture.
  """
  top, bottom, left, right = pads
  box = rotated_boxes.grown(box, left, top, right, bottom)
  width, height = box[2:4] - box[:2]
  if not (min(width, height) >= 1 and max(width, height) <= MAX_BOX_SCALE * max(info.width, info.height)):
    raise UserError(
      f'the face box of frame {frame} is {width:.0f} x {height:.0f} pixels in a picture of {info.width} x '
      f'{info.height}: give other boxes or pads',
      'boxes',
      'pads',
    )
  return box


def read_boxes(path: PathLike) -> list[Boxes]:
  """Reads the boxes of each frame from a JSON list with a box, a list of boxes or null for each.

  A box has four numbers, or five where the head tilts: the fifth turns it about its middle, in degrees, clockwise.

  Raises:
    UserError: the file cannot be read, or holds no such list, or no box at all.
  """
  try:
    frames = json.loads(read_regular(path).decode('utf-8-sig'))
    if not isinstance(frames, list):
      raise ValueError
    boxes = [_parse_frame(frame) for frame in frames]
  except OSError as error:
    raise UserError(f'the boxes {path} cannot be read: {error.strerror}') from error
  except (ValueError, TypeError, OverflowError, RecursionError) as error:
    raise UserError(f'{path} is not {FORMAT}') from error
  if not any(boxes):
    raise UserError(f'{path} is not {FORMAT}, with a box for at least one frame')
  return boxes


def write_boxes(path: PathLike, frames: Sequence[Boxes]) -> None:
  """Writes a file for `read_boxes`, to the last digit: a hundredth of a pixel shows in a dub."""
  rows = [[_as_numbers(box) for box in boxes] for boxes in frames]
  lines = ',\n'.join(json.dumps(None if not row else row[0] if len(row) == 1 else row) for row in rows)
  write_whole(Path(path), f'[\n{lines}\n]\n')


def _parse_frame(frame: object) -> Boxes:
  if frame is None:
    return []
  if not isinstance(frame, list):
    raise ValueError
  return [_parse_box(box) for box in (frame if not frame or isinstance(frame[0], list) else [frame])]


def _parse_box(numbers: object) -> np.ndarray:
  box = np.array(numbers, np.float64)
  if box.shape not in ((4,), (5,)) or not np.isfinite(box).all():
    raise ValueError
  return np.append(box[:4], np.radians(box[4]) if len(box) > 4 else 0.0)


def _as_numbers(box: np.ndarray) -> list[float]:
  degrees = np.degrees(rotated_boxes.unwrapped(rotated_boxes.roll_of(box), 0))
  return [float(number) for number in (*box[:4], *([degrees] if degrees else []))]
