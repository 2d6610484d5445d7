"""The pose of one face crop relative to another, by which a still mouth fits a head that moves."""

import cv2
import numpy as np

POSE_SIDE = 64  # pixels; crops are compared at this size
UPPER_PART = 0.6  # share of the height, from the top, that is compared: speech does not move it
MAX_ITERATIONS, TOLERANCE = 30, 1e-3  # of the search
ECC_BLUR = 3  # pixels
MAX_POSE_SHIFT = 0.3  # of the side; larger ones are of two different faces, or more than an affine map can do
SURE_CORRELATION = 0.9  # of the compared parts, from which a pose is trusted
MIN_CORRELATION = 0.6  # of the compared parts, below which no pose was found

UNMOVED = np.array([[1, 0, 0], [0, 1, 0]], np.float64)


def pose_between(crop: np.ndarray, reference: np.ndarray, start: np.ndarray = UNMOVED) -> np.ndarray:
  """Returns the affine map from a face crop to another crop of the same person.

  It maximises the enhanced correlation coefficient (Evangelidis and Psarakis, TPAMI 2008) of their upper parts.

  Args:
    crop: (s, s, 3) uint8.
    reference: (r, r, 3) uint8.
    start: the map at which the search begins, such as that of the frame before.

  Returns:
    (2, 3) float64, which maps (x, y, 1), in sides of the crop, to (x, y) in sides of the reference; `UNMOVED` where no
    such map is found.
  """
  alike, pose = _compared(crop, reference, start)
  if alike < SURE_CORRELATION and start is not UNMOVED:  # the search may have lost its way
    alike, pose = max((alike, pose), _compared(crop, reference, UNMOVED), key=lambda found: found[0])
  moved = np.abs((pose - UNMOVED) @ _CORNERS).max()
  return pose if alike >= MIN_CORRELATION and moved <= MAX_POSE_SHIFT else UNMOVED


def likeness(crop: np.ndarray, other: np.ndarray) -> float:
  """Returns the correlation of the upper parts of two face crops, (s, s, 3) uint8, brought to one pose: in [-1, 1]."""
  return _compared(crop, other, UNMOVED)[0]


def in_pose(reference: np.ndarray, pose: np.ndarray, side: int) -> np.ndarray:
  """Returns a reference in the pose of another crop.

  Args:
    reference: (r, r, 3) uint8.
    pose: from `pose_between(crop, reference)`.
    side: of the result in pixels.

  Returns:
    (side, side, 3) uint8.
  """
  if len(reference) > side:
    reference = cv2.resize(reference, (side, side), interpolation=cv2.INTER_AREA)
  to_reference = _in_pixels(pose, side, len(reference))
  flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
  return cv2.warpAffine(reference, to_reference, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _compared(crop: np.ndarray, reference: np.ndarray, start: np.ndarray) -> tuple[float, np.ndarray]:
  """Returns the correlation of two crops, -1 where no pose can be found, and the pose."""
  target, source = _grey(crop), _grey(reference)
  mask = np.zeros((POSE_SIDE, POSE_SIDE), np.uint8)
  mask[: round(UPPER_PART * POSE_SIDE)] = 255
  criteria = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, MAX_ITERATIONS, TOLERANCE
  begin = _in_pixels(start, POSE_SIDE).astype(np.float32)
  try:
    alike, found = cv2.findTransformECC(target, source, begin, cv2.MOTION_AFFINE, criteria, mask, ECC_BLUR)
  except cv2.error:  # it does not converge
    return -1.0, UNMOVED
  return alike, _in_sides(found.astype(np.float64), POSE_SIDE)


def _grey(crop: np.ndarray) -> np.ndarray:
  how = cv2.INTER_AREA if len(crop) > POSE_SIDE else cv2.INTER_LINEAR
  small = crop if len(crop) == POSE_SIDE else cv2.resize(crop, (POSE_SIDE, POSE_SIDE), interpolation=how)
  return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def _in_pixels(pose: np.ndarray, side: int, of_reference: int | None = None) -> np.ndarray:
  """Returns the map in indices of pixels, whose centres lie half a pixel from their edges."""
  of_reference = of_reference or side
  to_sides = np.array([[1 / side, 0, 0.5 / side], [0, 1 / side, 0.5 / side], [0, 0, 1]])
  return of_reference * (pose @ to_sides) - [[0, 0, 0.5], [0, 0, 0.5]]


def _in_sides(pixels: np.ndarray, side: int) -> np.ndarray:
  """Returns the map in sides of the crops: the inverse of `_in_pixels`."""
  to_pixels = np.array([[side, 0, -0.5], [0, side, -0.5], [0, 0, 1.0]])
  return (pixels @ to_pixels + [[0, 0, 0.5], [0, 0, 0.5]]) / side


_CORNERS = np.array([[0, 1, 0, 1], [0, 0, UPPER_PART, UPPER_PART], [1, 1, 1, 1]])
