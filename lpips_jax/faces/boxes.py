"""Boxes of faces: their overlap and prominence, how they are smoothed in time, and which gaps are bridged."""

from fractions import Fraction

import numpy as np

from lpips_jax.faces.rotated_boxes import Box

MAX_GAP_SECONDS = 0.5  # gaps in a track up to this length are bridged; longer ones are left alone
MAX_ABSENCE_SECONDS = 1.0  # after this long without the face, somebody else is followed
MIN_TRACK_SECONDS = 0.2  # shorter tracks count as false detections, and are not dubbed
SAME_FACE_IOU = 0.2  # least intersection over union with where the face was last seen
# Standard deviations of the centred Gaussians, in seconds, chosen by eye: sizes change more slowly than places, so they
# bear more smoothing.
CENTRE_SIGMA = 0.08
SIZE_SIGMA = 0.24
ROLL_SIGMA = 0.16
# Shares of the box's width and height. On a photograph with noise of 4 grey levels a smoothed centre still wanders by
# 0.2 % to 0.4 % of the box (standard deviation; YuNet, six people).
PLACE_SLACK = 0.015
SIZE_SLACK = 0.03
ROLL_SLACK = np.radians(4)
SMOOTHING_REACH = 3 * SIZE_SIGMA  # a smoothed box depends on this many seconds before and after it


def smooth(boxes: np.ndarray, rate: Fraction | float) -> np.ndarray:
  """Smooths boxes in time with a symmetric kernel: they neither lag nor lead, and steady movement stays as it is.

  Args:
    boxes: (T, 5) left, top, right, bottom, roll, without gaps, and without jumps of whole turns; or (T, 4) upright.
    rate: frames per second.

  Returns:
    The smoothed boxes, of the same shape, float64.
  """
  centres = _blur((boxes[:, :2] + boxes[:, 2:4]) / 2, CENTRE_SIGMA * float(rate))
  halves = _blur((boxes[:, 2:4] - boxes[:, :2]) / 2, SIZE_SIGMA * float(rate))
  rolls = _blur(boxes[:, 4:], ROLL_SIGMA * float(rate))
  return np.concatenate([centres - halves, centres + halves, rolls], axis=1)


class Steady:
  """A box that stands still until the face has moved further than a detector's noise, and is then dragged along.

  Call it with the smoothed boxes of one face, frame by frame, (5,) with the roll or (4,). It returns the steady box, of
  the same shape: never further from the smoothed one than `PLACE_SLACK` and `SIZE_SLACK` of its size, and `ROLL_SLACK`.
  A head that is upright to within `ROLL_SLACK` counts as upright.
  """

  def __init__(self) -> None:
    self._held: np.ndarray | None = None

  def __call__(self, box: np.ndarray) -> np.ndarray:
    now = np.concatenate([(box[:2] + box[2:4]) / 2, (box[2:4] - box[:2]) / 2, box[4:]])
    slack = np.concatenate([PLACE_SLACK * 2 * now[2:4], SIZE_SLACK * now[2:4], np.full(len(box) - 4, ROLL_SLACK)])
    if self._held is None:
      self._held = now.copy()
      self._held[4:][abs(now[4:]) <= ROLL_SLACK] = 0
    self._held = np.clip(self._held, now - slack, now + slack)
    return np.concatenate([self._held[:2] - self._held[2:4], self._held[:2] + self._held[2:4], self._held[4:]])


def overlap(box: Box, others: np.ndarray) -> np.ndarray:
  """Returns the intersection over union of one box with each of the others.

  Args:
    box: (4,) left, top, right, bottom; further columns, such as the roll, are ignored.
    others: (n, 4), likewise.

  Returns:
    (n,) in [0, 1].
  """
  one, others = np.asarray(box, np.float64)[:4], others[:, :4]
  sides = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
  shared = np.prod(np.clip(sides, 0, None), axis=1)
  return shared / np.maximum(np.prod(one[2:] - one[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - shared, 1e-9)


def prominence(boxes: np.ndarray, frame_size: tuple[int, int]) -> np.ndarray:
  """Returns the area of each box, (n, 4), less towards the edge of the frame, where it counts half: (n,).

  Args:
    boxes: left, top, right, bottom in pixels; further columns are ignored.
    frame_size: (width, height) in pixels.
  """
  boxes = boxes[:, :4]
  areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
  off_centre = np.abs((boxes[:, :2] + boxes[:, 2:]) / np.array(frame_size, np.float64) - 1).max(axis=1)
  return areas * (1 - 0.5 * np.clip(off_centre, 0, 1))


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
  """Blurs along time by a Gaussian; the ends are continued by point reflection, which keeps steady movement steady."""
  reach = min(int(np.ceil(3 * sigma - 1e-9)), len(values) - 1)
  if reach < 1 or not values.size:
    return values.astype(np.float64)
  kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
  before = 2 * values[:1] - values[reach:0:-1]
  after = 2 * values[-1:] - values[-2 : -reach - 2 : -1]
  padded = np.concatenate([before, values, after])
  return np.stack([np.convolve(column, kernel / kernel.sum(), 'valid') for column in padded.T], axis=1)
