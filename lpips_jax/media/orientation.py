"""How a picture lies: the one place that knows which of the eight ways a frame has to be turned or mirrored."""

import functools
import itertools
from typing import NamedTuple

import av
import cv2
import numpy as np

from lpips_jax.media.ffmpeg import chain

# PyAV reads no side data at all of a frame that has a kind which it has no name for, such as EXIF, or the views of
# spatial videos. FFmpeg numbers these from here on.
UNNAMED = range(28, 48)


class Orientation(NamedTuple):
  """What brings a picture upright, in this order.

  Attributes:
    transposed: rows become columns.
    mirrored: left and right change places.
    flipped: top and bottom change places.
  """

  transposed: bool = False
  mirrored: bool = False
  flipped: bool = False


UPRIGHT = Orientation()
ALL = tuple(Orientation(*way) for way in itertools.product((False, True), repeat=3))


def orientation_of(frame: av.VideoFrame) -> Orientation:
  """Returns how a decoded frame is to be shown, by its display matrix; FFmpeg makes one of EXIF's number, too."""
  try:
    matrix = frame.side_data.get('DISPLAYMATRIX')
  except ValueError:
    graph = chain(frame, *(('sidedata', f'mode=delete:type={kind}') for kind in UNNAMED))
    graph.push(frame)
    matrix = graph.pull().side_data.get('DISPLAYMATRIX')
  if matrix is None:
    return UPRIGHT
  a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()  # x, y is shown at a x + c y, b x + d y
  return nearest(((a, c), (b, d)))


@functools.lru_cache
def nearest(matrix: tuple[tuple[float, float], tuple[float, float]]) -> Orientation:
  """Returns the orientation that comes nearest to a matrix, which may also scale, shear or turn a little."""
  return max(ALL, key=lambda orientation: float((np.array(matrix) * matrix_of(orientation)).sum()))


def matrix_of(orientation: Orientation) -> np.ndarray:
  """Returns what takes directions (x, y), y down, of a stored picture into those of the one that is shown, (2, 2)."""
  signs = [-1.0 if reversed_ else 1.0 for reversed_ in orientation[1:]]
  return np.diag(signs) @ (np.eye(2)[::-1] if orientation.transposed else np.eye(2))


def upright(picture: np.ndarray, orientation: Orientation) -> np.ndarray:
  """Returns a picture, (H, W) or (H, W, 3), as it is to be shown; the same array where nothing is to be done."""
  if orientation.transposed:
    picture = cv2.transpose(np.ascontiguousarray(picture))
  if orientation.mirrored or orientation.flipped:
    way = -1 if orientation.mirrored and orientation.flipped else int(orientation.mirrored)
    picture = cv2.flip(np.ascontiguousarray(picture), way)
  return picture


def swapped(width: int, height: int, orientation: Orientation) -> tuple[int, int]:
  """Returns width and height of a shown picture from those of the stored one, or the other way round."""
  return (height, width) if orientation.transposed else (width, height)
