"""Orientation: which of the eight ways a picture has to be turned or mirrored to be upright, and doing it."""

import functools
import itertools
from typing import Any, NamedTuple

import av
import cv2
import numpy as np

from lpips_jax.media.ffmpeg import filtered

# Where a frame has side data of a kind without a name in PyAV, such as EXIF, or the views of spatial videos, PyAV reads
# none of it. FFmpeg numbers these kinds from here on.
UNNAMED_SIDE_DATA = range(28, 48)


class Orientation(NamedTuple):
  """The steps that bring a picture upright, in this order.

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
  """Returns the orientation of a decoded frame, from its display matrix; FFmpeg makes one of EXIF's number, too."""
  try:
    matrix = _display_matrix(frame)
  except ValueError:
    matrix = _display_matrix(filtered(frame, *(('sidedata', f'mode=delete:type={n}') for n in UNNAMED_SIDE_DATA)))
  if matrix is None:
    return UPRIGHT
  a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()  # x, y is shown at a x + c y, b x + d y
  return nearest(((a, c), (b, d)))


@functools.lru_cache
def nearest(matrix: tuple[tuple[float, float], tuple[float, float]]) -> Orientation:
  """Returns the orientation nearest to a matrix, which may also scale, shear or turn a little."""
  return max(ALL, key=lambda orientation: float((np.array(matrix) * matrix_of(orientation)).sum()))


def matrix_of(orientation: Orientation) -> np.ndarray:
  """Returns the matrix, (2, 2), from directions (x, y), y down, in the stored picture to those in the shown one."""
  signs = [-1.0 if reversed_ else 1.0 for reversed_ in orientation[1:]]
  return np.diag(signs) @ (np.eye(2)[::-1] if orientation.transposed else np.eye(2))


def upright(picture: np.ndarray, orientation: Orientation) -> np.ndarray:
  """Returns a picture, (H, W) or (H, W, 3), as it is to be shown; the same array if it is upright already."""
  if orientation.transposed:
    picture = cv2.transpose(np.ascontiguousarray(picture))
  if orientation.mirrored or orientation.flipped:
    axis = -1 if orientation.mirrored and orientation.flipped else int(orientation.mirrored)  # OpenCV's code
    picture = cv2.flip(np.ascontiguousarray(picture), axis)
  return picture


def swapped(width: int, height: int, orientation: Orientation) -> tuple[int, int]:
  """Returns width and height of a shown picture from those of the stored one, or the other way round."""
  return (height, width) if orientation.transposed else (width, height)


def _display_matrix(frame: av.VideoFrame) -> memoryview | None:
  """Returns the 3 x 3 int32 of a frame; raises ValueError if PyAV has no name for some side data of it."""
  matrix: Any = frame.side_data.get('DISPLAYMATRIX')  # PyAV's stubs know of motion vectors alone
  return None if matrix is None else memoryview(matrix)
