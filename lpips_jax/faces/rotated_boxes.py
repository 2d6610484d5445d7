"""Rotated boxes: a box that is turned about its middle, for heads that tilt.

A box is (left, top, right, bottom, roll): where the head would be if it were upright, in pixels, turned about its
middle by the roll, in radians, clockwise as one sees it. A box of four numbers is upright. With a roll of 0 all
functions here return exactly what they return without one.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

Box = Sequence[float] | np.ndarray  # (4,) left, top, right, bottom in pixels, or (5,) with the roll


def roll_of(box: Box) -> float:
  """Returns the roll of a box, (4,) or (5,), in radians."""
  return float(box[4]) if len(box) > 4 else 0.0


def rotation(roll: float) -> np.ndarray:
  """Returns the (2, 2) matrix that turns directions of an upright head into those of the picture."""
  return np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])


def middle(box: Box) -> np.ndarray:
  """Returns the middle of a box, (2,) in pixels."""
  return np.array([float(box[0]) + float(box[2]), float(box[1]) + float(box[3])]) / 2


def bounds(box: Box, part: Box) -> tuple[float, float, float, float]:
  """Returns the left, top, right and bottom, in the picture, of a rectangle that is turned with a box.

  Args:
    box: (4,) or (5,).
    part: left, top, right, bottom of the rectangle in pixels, before it is turned about the middle of the box.
  """
  left, top, right, bottom = (float(edge) for edge in part)
  roll = roll_of(box)
  if roll == 0:
    return left, top, right, bottom
  about = middle(box)
  corners = (np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) - about) @ rotation(roll).T + about
  return *corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()


def moved(box: np.ndarray, x: float, y: float) -> np.ndarray:
  """Returns a box in coordinates whose origin is the point (x, y) of the picture."""
  return np.concatenate([box[:4] - np.array([x, y, x, y]), box[4:]])


def grown(box: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
  """Returns a box with pixels added at the left, top, right and bottom of the head."""
  wider = np.concatenate([box[:4] + np.array([-left, -top, right, bottom], np.float64), box[4:]])
  roll = roll_of(box)
  if roll == 0:
    return wider
  shift = np.array([right - left, bottom - top]) / 2
  return moved(wider, *(shift - rotation(roll) @ shift))


def holds(box: np.ndarray, x: float, y: float) -> bool:
  """Returns whether a point of the picture lies in a box."""
  x, y = rotation(-roll_of(box)) @ (np.array([x, y]) - middle(box)) + middle(box)
  return bool(box[0] <= x < box[2] and box[1] <= y < box[3])


def unwrapped(roll: float, last: float) -> float:
  """Returns a roll plus or minus whole turns, so that it is at most half a turn away from the last one."""
  return roll - 2 * np.pi * np.round((roll - last) / (2 * np.pi))


def turned_square(
  picture: np.ndarray, about: np.ndarray, extent: float, roll: float, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns a square of a picture in which a head with this roll is upright.

  Args:
    picture: (H, W, 3) uint8.
    about: (2,), the middle of the square in pixels of the picture; outside the picture there is black.
    extent: side of the square in pixels of the picture.
    roll: of the head, in radians.
    side: of the square in its own pixels.

  Returns:
    The square, (side, side, 3) uint8, and the map of its points into the picture: a (2, 2) matrix and a (2,) shift.
  """
  fine = side * max(1, math.ceil(extent / side))  # whole numbers of samples are averaged, as in `faces.cropping.crop`
  steps = extent / fine * rotation(roll)
  by_index = np.column_stack([steps, about - steps @ np.full(2, fine / 2 - 0.5) - 0.5])  # pixel 0 is at 0.5
  samples = cv2.warpAffine(picture, by_index, (fine, fine), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
  square = samples if fine == side else cv2.resize(samples, (side, side), interpolation=cv2.INTER_AREA)
  to_picture = extent / side * rotation(roll)
  return square, to_picture, about - to_picture @ np.full(2, side / 2)


def turned_back(faces: np.ndarray, to_picture: np.ndarray, shift: np.ndarray) -> np.ndarray:
  """Maps faces that were found in a turned picture into the whole picture.

  Args:
    faces: (n, 6), left, top, right, bottom, score and roll in the turned picture.
    to_picture, shift: the map of its points into the whole picture, from `turned_square`.

  Returns:
    (n, 6) float32, the same in the whole picture.
  """
  halves = (faces[:, 2:4] - faces[:, :2]) / 2 * np.sqrt(np.linalg.det(to_picture))
  middles = (faces[:, :2] + faces[:, 2:4]) / 2 @ to_picture.T + shift
  roll = np.arctan2(to_picture[1, 0], to_picture[0, 0])
  return np.column_stack([middles - halves, middles + halves, faces[:, 4], faces[:, 5] + roll]).astype(np.float32)
