"""A canvas of pixels in face units, and the few soft shapes with which everything is painted.

Pictures are planes here, (3, H, W): NumPy multiplies planes by a mask several times faster than (H, W, 3).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Canvas:
  """The pixel centres of a picture, in face units.

  Attributes:
    u: (H, W) float32, to the right.
    v: (H, W) float32, downwards.
    density: pixels in a face unit.
  """

  u: np.ndarray
  v: np.ndarray
  density: float


def canvas(left: float, top: float, right: float, bottom: float, density: float) -> Canvas:
  """Returns the canvas that covers a rectangle given in face units, with `density` pixels to a unit."""
  columns = left + (np.arange(round((right - left) * density)) + 0.5) / density
  rows = top + (np.arange(round((bottom - top) * density)) + 0.5) / density
  u, v = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
  return Canvas(u, v, density)


def blob(sheet: Canvas, u: float, v: float, width: float, height: float) -> np.ndarray:
  """Returns a Gaussian spot, 1 at its centre."""
  return _spot((sheet.u[0] - u) / width, (sheet.v[:, 0] - v) / height)


def pair(sheet: Canvas, u: float, v: float, width: float, height: float) -> np.ndarray:
  """Returns a Gaussian spot on either side of the face."""
  return _spot((np.abs(sheet.u[0]) - u) / width, (sheet.v[:, 0] - v) / height)


def rise(x: np.ndarray, start: float, end: float) -> np.ndarray:
  """Returns the smoothstep of `x`, from 0 at `start` to 1 at `end`, which may be the smaller one."""
  t = np.clip((x - start) / (end - start), 0, 1)
  return t * t * (3 - 2 * t)


def inside(sheet: Canvas, implicit: np.ndarray, softness: float = 0.0) -> np.ndarray:
  """Returns the antialiased coverage of the region where `implicit` is below 0.

  Args:
    sheet: the canvas.
    implicit: (H, W), negative inside; its gradient gives the distance to the edge.
    softness: width of the edge in face units; at least a pixel.
  """
  down, right = np.gradient(implicit)
  distance = implicit / np.maximum(np.hypot(down, right), 1e-6) / sheet.density
  return np.clip(0.5 - distance / max(softness, 1 / sheet.density), 0, 1)


def plain(colour: tuple[float, float, float] | np.ndarray) -> np.ndarray:
  """Returns a colour that broadcasts over a sheet, (3, 1, 1) float32."""
  return np.asarray(colour, np.float32)[:, None, None]


def mix(below: np.ndarray, above: np.ndarray, alpha: np.ndarray) -> np.ndarray:
  """Returns one colour, (3, ...), laid over another with the opacity (H, W)."""
  return below + (above - below) * alpha


def to_planes(picture: np.ndarray) -> np.ndarray:
  """Returns (C, H, W) float32 in [0, 1] from (H, W, C) uint8."""
  return picture.transpose(2, 0, 1) / np.float32(255)


def to_picture(planes: np.ndarray) -> np.ndarray:
  """Returns (H, W, C) uint8 from (C, H, W) in [0, 1]; values outside are clipped."""
  return np.ascontiguousarray((np.clip(planes, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0))


def _spot(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Returns a Gaussian, as a row times a column, which saves most of the exponentials."""
  return np.exp(-(rows**2))[:, None] * np.exp(-(columns**2))
