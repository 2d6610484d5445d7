"""One face crop brought to the pose of another: what a still mouth needs to fit a head that moves."""

import cv2
import numpy as np

SIDE = 64  # pixels at which poses are compared
SEEN = 0.6  # part of the height, from the top, that is compared: what speech does not move
ITERATIONS, CLOSE_ENOUGH = 30, 1e-3
BLUR = 3  # pixels
FARTHEST = 0.3  # of the side; poses further apart are no poses of one face, or not to be had by an affine map
SURE = 0.9  # correlation of the compared parts, from which a pose is right
ALIKE = 0.6  # correlation of the compared parts, below which nothing was found

UNMOVED = np.array([[1, 0, 0], [0, 1, 0]], np.float64)


def pose_between(crop: np.ndarray, reference: np.ndarray, start: np.ndarray = UNMOVED) -> np.ndarray:
  """Returns where the places of a face crop are in another crop of the same person.

  Enhanced correlation (Evangelidis and Psarakis, TPAMI 2008) of the upper parts, by an affine map.

  Args:
    crop: (s, s, 3) uint8.
    reference: (r, r, 3) uint8.
    start: where to begin the search, a map as is returned: that of the frame before, say.

  Returns:
    (2, 3) float64, which takes (x, y, 1), in sides of the crop, to x and y in sides of the reference; `UNMOVED` where
    the two have no such thing in common.
  """
  alike, pose = _compared(crop, reference, start)
  if alike < SURE and start is not UNMOVED:  # the search may have lost its way
    alike, pose = max((alike, pose), _compared(crop, reference, UNMOVED), key=lambda found: found[0])
  moved = np.abs((pose - UNMOVED) @ _CORNERS).max()
  return pose if alike >= ALIKE and moved <= FARTHEST else UNMOVED


def likeness(crop: np.ndarray, other: np.ndarray) -> float:
  """Returns the correlation of the upper parts of two face crops, (s, s, 3) uint8, once in one pose: in [-1, 1]."""
  return _compared(crop, other, UNMOVED)[0]


def in_pose(reference: np.ndarray, pose: np.ndarray, side: int) -> np.ndarray:
  """Returns a crop as it would be in the pose of another: (r, r, 3) uint8 -> (side, side, 3) uint8.

  Args:
    reference: the crop.
    pose: from `pose_between`.
    side: pixels of the result.
  """
  if len(reference) > side:
    reference = cv2.resize(reference, (side, side), interpolation=cv2.INTER_AREA)
  to_reference = _in_pixels(pose, side, len(reference))
  flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
  return cv2.warpAffine(reference, to_reference, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _compared(crop: np.ndarray, reference: np.ndarray, start: np.ndarray) -> tuple[float, np.ndarray]:
  """How alike two crops are, -1 where no pose can be found, and the pose."""
  target, source = _grey(crop), _grey(reference)
  mask = np.zeros((SIDE, SIDE), np.uint8)
  mask[: round(SEEN * SIDE)] = 255
  criteria = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ITERATIONS, CLOSE_ENOUGH
  begin = _in_pixels(start, SIDE).astype(np.float32)
  try:
    alike, found = cv2.findTransformECC(target, source, begin, cv2.MOTION_AFFINE, criteria, mask, BLUR)
  except cv2.error:  # it does not converge
    return -1.0, UNMOVED
  return alike, _in_sides(found.astype(np.float64), SIDE)


def _grey(crop: np.ndarray) -> np.ndarray:
  how = cv2.INTER_AREA if len(crop) > SIDE else cv2.INTER_LINEAR
  small = crop if len(crop) == SIDE else cv2.resize(crop, (SIDE, SIDE), interpolation=how)
  return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def _in_pixels(pose: np.ndarray, side: int, of_reference: int | None = None) -> np.ndarray:
  """The same map between the middles of pixels, the first being 0."""
  of_reference = of_reference or side
  to_sides = np.array([[1 / side, 0, 0.5 / side], [0, 1 / side, 0.5 / side], [0, 0, 1]])
  return of_reference * (pose @ to_sides) - [[0, 0, 0.5], [0, 0, 0.5]]


def _in_sides(pixels: np.ndarray, side: int) -> np.ndarray:
  to_pixels = np.array([[side, 0, -0.5], [0, side, -0.5], [0, 0, 1.0]])
  return (pixels @ to_pixels + [[0, 0, 0.5], [0, 0, 0.5]]) / side


_CORNERS = np.array([[0, 1, 0, 1], [0, 0, SEEN, SEEN], [1, 1, 1, 1]])
