"""Boxes in time: how long a face may be out of sight, which two boxes are one face, and how boxes are smoothed."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

LONGEST_GAP = 0.5  # seconds without the face that are bridged; longer ones are left alone
PATIENCE = 1.0  # seconds without the face before somebody else is followed
SHORTEST_TRACK = 0.2  # seconds a face must have been found for, so that what a detector imagines is not dubbed
SAME_FACE = 0.2  # intersection over union with where the face was last seen
# Widths of the centred Gaussians, in seconds. A choice: sizes change more slowly than places, so they bear more.
CENTRE_BLUR = 0.08
SIZE_BLUR = 0.24
ROLL_BLUR = 0.16
# Of a box's width and height. On a photograph with noise of 4 grey levels a smoothed centre still wanders by 0.2 % to
# 0.4 % of the box (standard deviation; YuNet, six people).
PLACE_SLACK = 0.015
SIZE_SLACK = 0.03
ROLL_SLACK = np.radians(4)
REACH = 3 * SIZE_BLUR  # seconds either way that a smoothed box depends on


def smooth(boxes: np.ndarray, rate: Fraction | float) -> np.ndarray:
  """Smooths boxes in time: symmetric, so that they neither lag nor lead, and exact for a steady movement.

  Args:
    boxes: (T, 5) left, top, right, bottom, roll, without gaps, and without jumps of whole turns; or (T, 4).
    rate: frames a second.

  Returns:
    The same, float64.
  """
  centres = _blur((boxes[:, :2] + boxes[:, 2:4]) / 2, CENTRE_BLUR * float(rate))
  halves = _blur((boxes[:, 2:4] - boxes[:, :2]) / 2, SIZE_BLUR * float(rate))
  rolls = _blur(boxes[:, 4:], ROLL_BLUR * float(rate))
  return np.concatenate([centres - halves, centres + halves, rolls], axis=1)


class Steady:
  """Holds a box still until the face has moved further than a detector's noise, and then lets itself be dragged along.

  Called with the smoothed boxes of one face, (5,) with its roll or (4,), frame by frame, returns where its box is held,
  alike: never further away than `PLACE_SLACK` and `SIZE_SLACK` of its size, and `ROLL_SLACK`. A head that is upright to
  within that slack is taken to be upright.
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


def overlap(box: Sequence[float], others: np.ndarray) -> np.ndarray:
  """Returns the intersection over union of one box, (4,), with each of the others, (n, 4): (n,) in [0, 1].

  Whatever follows their edges, as rolls do, is passed over.
  """
  box, others = np.asarray(box, np.float64)[:4], others[:, :4]
  sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
  shared = np.prod(np.clip(sides, 0, None), axis=1)
  return shared / np.maximum(np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - shared, 1e-9)


def prominence(boxes: np.ndarray, frame_size: tuple[int, int]) -> np.ndarray:
  """Returns the area of each box, (n, 4), of which one at the edge of a frame of (width, height) counts half: (n,)."""
  boxes = boxes[:, :4]
  areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
  off_centre = np.abs((boxes[:, :2] + boxes[:, 2:]) / np.array(frame_size, np.float64) - 1).max(axis=1)
  return areas * (1 - 0.5 * np.clip(off_centre, 0, 1))


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
  """Gaussian along time; the ends are continued by point reflection, which keeps a steady movement steady."""
  reach = min(int(np.ceil(3 * sigma - 1e-9)), len(values) - 1)
  if reach < 1 or not values.size:
    return values.astype(np.float64)
  kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
  before = 2 * values[:1] - values[reach:0:-1]
  after = 2 * values[-1:] - values[-2 : -reach - 2 : -1]
  padded = np.concatenate([before, values, after])
  return np.stack([np.convolve(column, kernel / kernel.sum(), 'valid') for column in padded.T], axis=1)
