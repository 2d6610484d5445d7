"""Y'CbCr 4:2:0 frames, as codecs hold them: brightness at full, colour at half resolution.

A dubbed frame stays in this form from decoder to encoder. Only the face is ever converted to RGB, and the change to it
is added in place: every other sample reaches the encoder as the decoder gave it.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

UNSPECIFIED = 2  # H.273's number for "the file does not say"
# Weights of red and blue in brightness, by H.273's number of the matrix.
LUMA_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
BT601_WEIGHTS = {5: (0.299, 0.114), 6: (0.299, 0.114)}  # also FFmpeg's choice where the file does not say
FORMATS = {8: 'yuv420p', 10: 'yuv420p10le'}  # FFmpeg's name of the pixel format, by the bits of a sample
MAX_BAR_LEVEL, MAX_BAR_SPREAD = 6, 6  # of 255: how much brighter than black a row of a black bar may be, and how uneven
CHROMA_LEFT = np.array([[0.5, 0, 0], [0, 0.5, -0.25]])  # H.264 and MPEG-2 sample colour on even columns, between rows


@dataclass(frozen=True)
class Colours:
  """The meaning of a video's samples as colours, by the numbers of H.273.

  Attributes:
    matrix: between RGB and Y'CbCr (1 is BT.709); 2 if the file does not say.
    primaries: of RGB, likewise.
    transfer: the transfer characteristic, likewise.
    full_range: whether brightness runs from 0 to 255, not from 16 to 235.
    depth: bits of a sample, 8 or 10; with 10 all steps are a quarter as large.
  """

  matrix: int = UNSPECIFIED
  primaries: int = UNSPECIFIED
  transfer: int = UNSPECIFIED
  full_range: bool = False
  depth: int = 8

  @property
  def kind(self) -> np.dtype:
    """The type of the samples."""
    return np.dtype(np.uint8 if self.depth == 8 else np.uint16)


UNSPECIFIED_COLOURS = Colours()


@dataclass(frozen=True, eq=False)
class Planes:
  """One frame in 4:2:0.

  Attributes:
    samples: (3 H / 2, W) of `Colours.kind`, H and W even: H rows of brightness, then both planes of colour, each
      (H / 2, W / 2), row after row; one of `FORMATS`.
    colours: their meaning.
  """

  samples: np.ndarray
  colours: Colours

  @property
  def size(self) -> tuple[int, int]:
    """(height, width)."""
    return self.samples.shape[0] * 2 // 3, self.samples.shape[1]

  @property
  def region(self) -> 'Region':
    """The whole frame."""
    height, width = self.size
    return Region(0, 0, width, height)

  @property
  def y(self) -> np.ndarray:
    """Brightness, (H, W), a view."""
    return self.samples[: self.size[0]]

  @property
  def cb_cr(self) -> np.ndarray:
    """Both planes of colour, (2, H / 2, W / 2), a view."""
    height, width = self.size
    return self.samples[height:].reshape(2, height // 2, width // 2)

  def copy(self) -> 'Planes':
    return Planes(self.samples.copy(), self.colours)


@dataclass(frozen=True)
class Region:
  """A part of a frame whose edges are even numbers of pixels; right and bottom are exclusive."""

  left: int
  top: int
  right: int
  bottom: int


def even_region(within: Region, left: float, top: float, right: float, bottom: float) -> Region | None:
  """Returns the smallest region inside another one that holds a box, or None if the box lies outside."""
  edges = np.clip([left, right], within.left, within.right), np.clip([top, bottom], within.top, within.bottom)
  (x0, x1), (y0, y1) = ((int(low) // 2 * 2, -(-int(np.ceil(high)) // 2) * 2) for low, high in edges)
  return Region(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def between_bars(planes: Planes) -> Region:
  """Returns the part of a frame between black bars, which videos have that were brought to another shape.

  A bar is made of whole rows, or whole columns, that are black and even. A frame that is black all over has none.
  """
  black = 0 if planes.colours.full_range else 16
  max_level, max_spread = (
    (black + MAX_BAR_LEVEL) << planes.colours.depth - 8,
    MAX_BAR_SPREAD << planes.colours.depth - 8,
  )
  edges = []
  for y in (planes.y, planes.y.T):
    ends = [_first_picture_row(rows, max_level, max_spread) for rows in (y, y[::-1])]
    edges.append((0, len(y)) if ends[0] == len(y) else (-(-ends[0] // 2) * 2, (len(y) - ends[1]) // 2 * 2))
  (top, bottom), (left, right) = edges
  return Region(left, top, right, bottom)


def _first_picture_row(rows: np.ndarray, max_level: int, max_spread: int) -> int:
  """Returns the number of the first row that is not part of a bar."""
  for k, row in enumerate(rows):
    if (highest := row.max()) > max_level or highest - row.min() > max_spread:
      return k
  return len(rows)


def empty(height: int, width: int, colours: Colours) -> Planes:
  """Returns planes of this size, not yet filled; an odd side gets one more row or column."""
  height, width = height + height % 2, width + width % 2
  return Planes(np.empty((height * 3 // 2, width), colours.kind), colours)


def to_rgb(planes: Planes, region: Region | None = None) -> np.ndarray:
  """Returns a region of a frame, or all of it, as (h, w, 3) uint8 RGB."""
  part = region or planes.region
  halves = slice(part.top // 2, part.bottom // 2), slice(part.left // 2, part.right // 2)
  y = in_8_bits(planes.y[part.top : part.bottom, part.left : part.right])
  flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
  colour = [
    cv2.warpAffine(np.ascontiguousarray(half), CHROMA_LEFT, y.shape[::-1], None, flags, cv2.BORDER_REPLICATE)
    for half in (in_8_bits(plane[halves]) for plane in planes.cb_cr)
  ]
  return cv2.transform(cv2.merge([np.ascontiguousarray(y), *colour]), _to_rgb_matrix(planes.colours))


def reduced_rgb(planes: Planes, longest_side: int) -> np.ndarray:
  """Returns a frame as (h, w, 3) uint8 RGB, reduced to `longest_side` pixels on its longer side if it has more."""
  height, width = planes.size
  shrink = min(1.0, longest_side / max(height, width))
  if shrink == 1:
    return to_rgb(planes)
  size = max(1, round(width * shrink)), max(1, round(height * shrink))
  parts = [in_8_bits(cv2.resize(plane, size, interpolation=cv2.INTER_AREA)) for plane in (planes.y, *planes.cb_cr)]
  return cv2.transform(cv2.merge(parts), _to_rgb_matrix(planes.colours))


def in_8_bits(samples: np.ndarray) -> np.ndarray:
  """Returns samples of 8 or 10 bits as uint8."""
  return samples if samples.dtype == np.uint8 else np.minimum((samples + 2) >> 2, 255).astype(np.uint8)


def add(planes: Planes, region: Region, change: np.ndarray) -> None:
  """Adds a change of colour to a region, in place; where it is 0 the samples do not change.

  Args:
    planes: the frame.
    region: the part of it that changes.
    change: (h, w, 3) float RGB, in steps of 8 bits.
  """
  y, *colour = cv2.split(cv2.transform(change.astype(np.float32), _from_rgb_matrix(planes.colours)))
  _add_to(planes.y[region.top : region.bottom, region.left : region.right], y)
  halves = slice(region.top // 2, region.bottom // 2), slice(region.left // 2, region.right // 2)
  for plane, part in zip(planes.cb_cr, colour, strict=True):
    rows = (part[0::2] + part[1::2]) / 2
    smooth = cv2.sepFilter2D(rows, -1, np.array([0.25, 0.5, 0.25]), np.ones(1), borderType=cv2.BORDER_REPLICATE)
    _add_to(plane[halves], smooth[:, 0::2])


def from_rgb(rgb: np.ndarray, colours: Colours) -> Planes:
  """Converts a picture, (H, W, 3) uint8 RGB, to planes; odd sides repeat their last row or column."""
  height, width = rgb.shape[:2]
  even = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), 'edge')
  planes = empty(height, width, colours)
  planes.y[:] = (0 if colours.full_range else 16) << (colours.depth - 8)
  planes.cb_cr[:] = 128 << (colours.depth - 8)
  add(planes, Region(0, 0, even.shape[1], even.shape[0]), even)
  return planes


def _add_to(plane: np.ndarray, change: np.ndarray) -> None:
  steps, most = (1, 255) if plane.dtype == np.uint8 else (4, 1023)
  plane[:] = np.clip(np.rint(plane + steps * change), 0, most).astype(plane.dtype)


@cache
def _from_rgb_matrix(colours: Colours) -> np.ndarray:
  """Returns the matrix, (3, 3), from steps of RGB to steps of Y'CbCr; H.273, equations 38 to 43."""
  red, blue = (LUMA_WEIGHTS | BT601_WEIGHTS).get(colours.matrix, BT601_WEIGHTS[6])
  luma = np.array([red, 1 - red - blue, blue])
  cb, cr = ((np.eye(3)[2] - luma) / (2 * (1 - blue)), (np.eye(3)[0] - luma) / (2 * (1 - red)))
  scale = np.ones(3) if colours.full_range else np.array([219, 224, 224]) / 255
  return np.stack([luma, cb, cr]) * scale[:, None]


@cache
def _to_rgb_matrix(colours: Colours) -> np.ndarray:
  """Returns the matrix, (3, 4), from Y'CbCr samples and 1 to RGB."""
  inverse = np.linalg.inv(_from_rgb_matrix(colours))
  black = np.array([0 if colours.full_range else 16, 128, 128])
  return np.column_stack([inverse, -inverse @ black])
