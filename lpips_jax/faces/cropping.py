"""Cropping a face out of a frame for networks, and pasting it back so that nobody sees the seam.

A box is (left, top, right, bottom) in pixels, floats, right and bottom exclusive; pixel (0, 0) covers [0, 1) x [0, 1).
Boxes follow YuNet's convention: from below the hairline to the chin. They are not squared, so a crop may be stretched.
A fifth number turns the box about its middle, for heads that tilt; see `faces.rotated_boxes`.
"""

import math

import cv2
import numpy as np

from lpips_jax.faces import rotated_boxes
from lpips_jax.faces.rotated_boxes import Box

# The mask of the paste is a superellipse, in fractions of the box: from the middle of the nose to the chin and from
# cheek to cheek, inside the box, so that nothing outside it changes whatever the generator does. The numbers were
# chosen by eye.
MASK_CENTRE = 0.5, 0.73
MASK_HALF = 0.44, 0.27
CHANGED_FROM = MASK_CENTRE[1] - MASK_HALF[1]
MASK_ROUNDNESS = 2.4  # the exponent: 2 is an ellipse
MASK_SOLID = 0.62  # of its radius: only the generated face shows within, at the mouth; outwards the mask fades
# Colours are compared in a band where the mask fades, which is skin in most faces. A blur carries the difference
# inwards: wide enough (in fractions of the crop) to reach the mouth, narrow enough to follow light from one side.
COLOUR_BAND = 0.65, 1.1
COLOUR_BAND_EDGE = 0.15
COLOUR_BLUR = 0.12
ALIASING_STEP = 1.5  # pixels of the face per pixel of the frame; beyond, the face is blurred first
SHARPEN_BLUR = 0.012  # of the crop's side: a pixel or so of a 96-pixel crop


def crop(frame: np.ndarray, box: Box, size: int, sampling: int = cv2.INTER_LINEAR) -> np.ndarray:
  """Returns the box of a frame, resampled to a square.

  Args:
    frame: (H, W, 3) uint8.
    box: (left, top, right, bottom) in pixels, floats, and the roll if it is turned. The frame's edge is repeated where
      the box reaches outside the frame.
    size: side of the square in pixels.
    sampling: OpenCV's interpolation between pixels. Linear is exact to a tenth of a pixel; cubic keeps a face as sharp
      as it was filmed.

  Returns:
    (size, size, 3) uint8.

  Raises:
    ValueError: the box is empty or not finite.
  """
  left, top, width, height = _origin_and_size(box)
  # When shrinking, whole numbers of samples are averaged for each pixel, none of them further apart than a pixel.
  per_pixel_x, per_pixel_y = math.ceil(width / size), math.ceil(height / size)
  if rotated_boxes.roll_of(box):
    samples = _resample_turned(frame, box, size * per_pixel_x, size * per_pixel_y, sampling)
  else:
    samples = _resample(frame, left, top, width, height, size * per_pixel_x, size * per_pixel_y, sampling)
  averaged = cv2.resize(samples, (size, size), interpolation=cv2.INTER_AREA)
  return np.rint(np.clip(averaged, 0, 255)).astype(np.uint8)


def paste(frame: np.ndarray, box: Box, face: np.ndarray) -> np.ndarray:
  """Returns a frame with the lower half of a generated face pasted into a box.

  Dubbing adds `change` to the frame itself, in the codec's own samples.

  Returns:
    (H, W, 3) uint8, a new array, identical to `frame` outside the box and above `CHANGED_FROM` of its height.
  """
  original = crop(frame, box, face.shape[0])
  return np.clip(np.rint(frame + change(frame, box, face, original)), 0, 255).astype(np.uint8)


def change(frame: np.ndarray, box: Box, face: np.ndarray, original: np.ndarray, sharpen: float = 0.0) -> np.ndarray:
  """Returns the change that, added to a frame, shows the lower half of a generated face in a box.

  The face takes the colour of the skin around it, and fades out before it reaches the sides of the box.

  Args:
    frame: (H, W, 3) uint8; the part of it that holds the box below `CHANGED_FROM` of its height is enough.
    box: the box that `original` was cropped from.
    face: (R, R, 3) uint8, generated from `original`.
    original: (S, S, 3) uint8, `crop(frame, box, S)`, S <= R.
    sharpen: strength of unsharp masking; 0 leaves the face as it is.

  Returns:
    (H, W, 3) float32, 0 outside the box and above `CHANGED_FROM` of its height.

  Raises:
    ValueError: the box is empty or not finite.
  """
  region = _reached(frame, box)
  changes = np.zeros(frame.shape, np.float32)
  if region is None:
    return changes
  matched = _match_colours(face, original)
  if sharpen:
    blurred = cv2.GaussianBlur(matched, (0, 0), SHARPEN_BLUR * face.shape[0], borderType=cv2.BORDER_REPLICATE)
    matched = np.clip(matched + sharpen * (matched - blurred), 0, 255)
  new, columns, rows = (_turn if rotated_boxes.roll_of(box) else _stretch)(matched, box, region)
  mask = _smooth_step(_radius(columns, rows), 1, MASK_SOLID)[..., None]
  changes[region] = mask * (np.clip(new, 0, 255) - frame[region])
  return changes


def _reached(frame: np.ndarray, box: Box) -> tuple[slice, slice] | None:
  """Returns the rows and columns of a frame whose centres the mask may reach; None if there are none."""
  left, top, width, height = _origin_and_size(box)
  (centre_x, centre_y), (half_x, half_y) = MASK_CENTRE, MASK_HALF
  x, y, reach_x, reach_y = left + centre_x * width, top + centre_y * height, half_x * width, half_y * height
  first_x, first_y, last_x, last_y = rotated_boxes.bounds(box, (x - reach_x, y - reach_y, x + reach_x, y + reach_y))
  rows, columns = _clipped(first_y, last_y, frame.shape[0]), _clipped(first_x, last_x, frame.shape[1])
  return (slice(*rows), slice(*columns)) if rows[0] < rows[1] and columns[0] < columns[1] else None


def _match_colours(face: np.ndarray, original: np.ndarray) -> np.ndarray:
  """Corrects the colours of the face, (R, R, 3), so that it agrees with the original at the rim of the mask.

  At the rim the original shows, so the two must agree there; a normalised blur carries the difference found there
  inwards. The mouth itself does not count: it is meant to differ.
  """
  size = original.shape[0]
  small = face if len(face) == size else cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA)
  places = (np.arange(size, dtype=np.float32) + 0.5) / size
  radius = _radius(places[None, :], places[:, None])
  rim = _smooth_step(radius, COLOUR_BAND[0] - COLOUR_BAND_EDGE, COLOUR_BAND[0])
  rim = rim * _smooth_step(radius, COLOUR_BAND[1] + COLOUR_BAND_EDGE, COLOUR_BAND[1])
  difference = original.astype(np.float32) - small.astype(np.float32)
  sigma = COLOUR_BLUR * size
  spread = cv2.GaussianBlur(difference * rim[..., None], (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
  weight = cv2.GaussianBlur(rim, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
  missing = spread / np.maximum(weight, 1e-6)[..., None]
  if len(face) != size:
    missing = cv2.resize(missing, face.shape[:2], interpolation=cv2.INTER_LINEAR)
  return face + missing


def _radius(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Returns the distance from the middle of the mask, 1 on its rim, for points in fractions of the box."""
  x = np.abs((columns - MASK_CENTRE[0]) / MASK_HALF[0]) ** MASK_ROUNDNESS
  y = np.abs((rows - MASK_CENTRE[1]) / MASK_HALF[1]) ** MASK_ROUNDNESS
  return ((x + y) ** (1 / MASK_ROUNDNESS)).astype(np.float32)


def _smooth_step(x: np.ndarray, zero: float, one: float) -> np.ndarray:
  t = np.clip((x - zero) / (one - zero), 0, 1)
  return t * t * (3 - 2 * t)


def _stretch(face: np.ndarray, box: Box, region: tuple[slice, slice]) -> tuple[np.ndarray, ...]:
  """Resamples a face, (S, S, 3) float, at the pixels of a region of the frame, for an upright box.

  Returns:
    (h, w, 3) float, and the coordinates of its columns, (1, w), and of its rows, (h, 1), in fractions of the box.
  """
  left, top, width, height = _origin_and_size(box)
  rows, columns = (np.arange(part.start, part.stop) + 0.5 for part in region)
  columns, rows = (columns - left) / width, (rows - top) / height
  size = face.shape[0]
  step_x, step_y = _step(columns) * size, _step(rows) * size
  to_face = np.array([[step_x, 0, columns[0] * size - 0.5], [0, step_y, rows[0] * size - 0.5]])
  new = _shrunk_to(face, to_face, max(step_x, step_y), (len(columns), len(rows)))
  return new, columns[None, :], rows[:, None]


def _turn(face: np.ndarray, box: Box, region: tuple[slice, slice]) -> tuple[np.ndarray, ...]:
  """Like `_stretch`, for a box that is turned; both coordinates are (h, w)."""
  _, _, width, height = _origin_and_size(box)
  size = face.shape[0]
  to_box = rotated_boxes.rotation(-rotated_boxes.roll_of(box)) / np.array([[width], [height]])
  y, x = np.mgrid[region]
  first = to_box @ (np.array([x[0, 0], y[0, 0]]) + 0.5 - rotated_boxes.middle(box)) + 0.5
  step = float(np.linalg.norm(to_box, axis=1).max()) * size
  new = _shrunk_to(face, np.column_stack([to_box, first]) * size - [0, 0, 0.5], step, x.shape[::-1])
  x, y = x - x[0, 0], y - y[0, 0]
  columns, rows = (to_box[k, 0] * x + to_box[k, 1] * y + first[k] for k in range(2))
  return new, columns, rows


def _shrunk_to(face: np.ndarray, to_face: np.ndarray, step: float, shape: tuple[int, int]) -> np.ndarray:
  """Resamples a face cubically on a grid of columns x rows, blurred first where its steps would alias."""
  if step > ALIASING_STEP:
    sigma = 0.5 * math.sqrt((step / ALIASING_STEP) ** 2 - 1)
    face = cv2.GaussianBlur(face, (0, 0), max(sigma, 0.1), borderType=cv2.BORDER_REPLICATE)
  flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
  return cv2.warpAffine(face, to_face, shape, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _step(coordinates: np.ndarray) -> float:
  return float(coordinates[1] - coordinates[0]) if len(coordinates) > 1 else 1.0


def _resample(
  frame: np.ndarray, left: float, top: float, width: float, height: float, columns: int, rows: int, sampling: int
) -> np.ndarray:
  """Samples an upright box on a grid, repeating the frame's edge outside it: (rows, columns, 3) float32."""
  first_x, last_x = _surrounding(left, width, frame.shape[1])
  first_y, last_y = _surrounding(top, height, frame.shape[0])
  region = frame[first_y:last_y, first_x:last_x].astype(np.float32)  # so that values are rounded once, at the end
  step_x, step_y = width / columns, height / rows
  offset_x, offset_y = left - first_x + step_x / 2 - 0.5, top - first_y + step_y / 2 - 0.5
  to_region = np.array([[step_x, 0, offset_x], [0, step_y, offset_y]])
  flags = sampling | cv2.WARP_INVERSE_MAP
  return cv2.warpAffine(region, to_region, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _resample_turned(frame: np.ndarray, box: Box, columns: int, rows: int, sampling: int) -> np.ndarray:
  """Like `_resample`, for a box that is turned."""
  _, _, width, height = _origin_and_size(box)
  left, top, right, bottom = rotated_boxes.bounds(box, box[:4])
  first_x, last_x = _surrounding(left, right - left, frame.shape[1])
  first_y, last_y = _surrounding(top, bottom - top, frame.shape[0])
  region = frame[first_y:last_y, first_x:last_x].astype(np.float32)
  steps = rotated_boxes.rotation(rotated_boxes.roll_of(box)) * np.array([width / columns, height / rows])
  first = rotated_boxes.middle(box) - [first_x, first_y] - steps @ (np.array([columns, rows]) / 2 - 0.5) - 0.5
  flags = sampling | cv2.WARP_INVERSE_MAP
  to_region = np.column_stack([steps, first])
  return cv2.warpAffine(region, to_region, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _surrounding(start: float, extent: float, length: int) -> tuple[int, int]:
  """Returns the pixels, first and last + 1, that interpolating an interval needs: at least one, inside the frame."""
  first = min(max(math.floor(start) - 1, 0), length - 1)
  return first, min(max(math.ceil(start + extent) + 1, first + 1), length)


def _clipped(first: float, last: float, length: int) -> tuple[int, int]:
  """Returns the pixels, first and last + 1, whose centres lie between two coordinates, inside the frame."""
  return max(0, math.ceil(first - 0.5)), min(length, math.floor(last - 0.5) + 1)


def _origin_and_size(box: Box) -> tuple[float, float, float, float]:
  left, top, right, bottom = (float(x) for x in box[:4])
  if not (
    math.isfinite(left + top + right + bottom + rotated_boxes.roll_of(box)) and right - left >= 1 and bottom - top >= 1
  ):
    raise ValueError(f'a face box is (left, top, right, bottom), at least one pixel wide and high, not {tuple(box)}')
  return left, top, right - left, bottom - top
