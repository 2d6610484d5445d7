"""Places of heads that tilt: a box turned about its middle.

A place is (left, top, right, bottom, roll): the box that the head would have if it were upright, in pixels, turned
about its middle by the roll, in radians, clockwise as one sees it. A box alone, (left, top, right, bottom), is upright.
Where the roll is 0, all functions here return what they would without one, to the last bit.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np


def roll_of(place: Sequence[float]) -> float:
  """Returns the roll of a place, (4,) or (5,), in radians."""
  return float(place[4]) if len(place) > 4 else 0.0


def rotation(roll: float) -> np.ndarray:
  """Returns the (2, 2) matrix that turns directions by a roll: of an upright head into those of the picture."""
  return np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])


def middle(place: Sequence[float]) -> np.ndarray:
  """Returns the middle of a place, (2,) in pixels."""
  return np.array([float(place[0]) + float(place[2]), float(place[1]) + float(place[3])]) / 2


def bounds(place: Sequence[float], part: Sequence[float]) -> tuple[float, float, float, float]:
  """Returns the left, top, right and bottom of a part of a place in the picture.

  Args:
    place: (4,) or (5,).
    part: left, top, right, bottom of a rectangle, in pixels, before it is turned with the place about its middle.
  """
  left, top, right, bottom = (float(edge) for edge in part)
  roll = roll_of(place)
  if roll == 0:
    return left, top, right, bottom
  about = middle(place)
  corners = (np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) - about) @ rotation(roll).T + about
  return *corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()


def moved(place: np.ndarray, x: float, y: float) -> np.ndarray:
  """Returns a place as it is seen from a point of the picture, (x, y) in pixels."""
  return np.concatenate([place[:4] - np.array([x, y, x, y]), place[4:]])


def grown(place: np.ndarray, left: float, top: float, right: float, bottom: float) -> np.ndarray:
  """Returns a place with pixels added at its sides, as its head sees them."""
  box = place[:4] + np.array([-left, -top, right, bottom], np.float64)
  roll = roll_of(place)
  if roll == 0:
    return np.concatenate([box, place[4:]])
  shift = np.array([right - left, bottom - top]) / 2
  return moved(np.concatenate([box, place[4:]]), *(shift - rotation(roll) @ shift))


def holds(place: np.ndarray, x: float, y: float) -> bool:
  """Whether a point of the picture lies in a place."""
  x, y = rotation(-roll_of(place)) @ (np.array([x, y]) - middle(place)) + middle(place)
  return bool(place[0] <= x < place[2] and place[1] <= y < place[3])


def unwrapped(roll: float, last: float) -> float:
  """Returns a roll, give or take whole turns, less than half a turn away from another one."""
  return roll - 2 * np.pi * np.round((roll - last) / (2 * np.pi))


def turned_square(
  picture: np.ndarray, about: np.ndarray, extent: float, roll: float, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns a square of a picture in which a head that is turned by a roll is upright.

  Args:
    picture: (H, W, 3) uint8.
    about: (2,), the middle of the square in pixels of the picture; outside of it there is black.
    extent: its side in pixels of the picture.
    roll: of the head.
    side: its side in its own pixels.

  Returns:
    The square, (side, side, 3) uint8, and what takes points of it into the picture: a (2, 2) matrix and a (2,) shift.
  """
  fine = side * max(1, math.ceil(extent / side))  # whole numbers of samples are averaged, as in `faces.cropping.crop`
  steps = extent / fine * rotation(roll)
  by_index = np.column_stack([steps, about - steps @ np.full(2, fine / 2 - 0.5) - 0.5])  # pixel 0 is at 0.5
  samples = cv2.warpAffine(picture, by_index, (fine, fine), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
  square = samples if fine == side else cv2.resize(samples, (side, side), interpolation=cv2.INTER_AREA)
  to_picture = extent / side * rotation(roll)
  return square, to_picture, about - to_picture @ np.full(2, side / 2)


def turned_back(faces: np.ndarray, to_picture: np.ndarray, shift: np.ndarray) -> np.ndarray:
  """Returns faces, (n, 6) with left, top, right, bottom, score and roll, of a turned picture as they are in the whole.

  Args:
    faces: found in the turned picture.
    to_picture, shift: what takes points of it into the whole one; as `turned_square` returns them.
  """
  halves = (faces[:, 2:4] - faces[:, :2]) / 2 * np.sqrt(np.linalg.det(to_picture))
  middles = (faces[:, :2] + faces[:, 2:4]) / 2 @ to_picture.T + shift
  roll = np.arctan2(to_picture[1, 0], to_picture[0, 0])
  return np.column_stack([middles - halves, middles + halves, faces[:, 4], faces[:, 5] + roll]).astype(np.float32)
