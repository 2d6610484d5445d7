"""Files that say where the faces to be dubbed are, frame by frame."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lpips_jax.cli import UserError
from lpips_jax.files import write_whole
from lpips_jax.media import turning
from lpips_jax.media.video import VideoInfo

LARGEST = 4  # times the longer side of the picture; a larger box is a mistake
FORM = 'a JSON list with [left, top, right, bottom] (and degrees), a list of such boxes, or null for each frame'

Boxes = list[np.ndarray]  # of one frame, (5,) float each: left, top, right, bottom in pixels, roll; see media.turning


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
  box = turning.grown(box, left, top, right, bottom)
  width, height = box[2:4] - box[:2]
  if not (min(width, height) >= 1 and max(width, height) <= LARGEST * max(info.width, info.height)):
    raise UserError(
      f'the face box of frame {frame} is {width:.0f} x {height:.0f} pixels in a picture of {info.width} x '
      f'{info.height}: give other --boxes or --pads'
    )
  return box


def _as_numbers(box: np.ndarray) -> list[float]:
  degrees = np.degrees(turning.unwrapped(turning.roll_of(box), 0))
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
