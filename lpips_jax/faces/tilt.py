"""Tilted heads: YuNet knows upright faces best, so it looks at other faces again in turned pictures.

Measured on six clips of real people, turned by 0 to 180 degrees: YuNet finds faces at any angle, but its boxes fit only
up to 15 degrees, since they are upright and have an upright shape, and its landmarks follow a head to about 30. Beyond,
they are those of some upright face, even for a head that is upside down. The score gives it away: 0.92 to 0.96 for
upright faces, at most 0.91 for those turned by 45 degrees or more. So a face that scores less, or whose landmarks tilt,
is looked at again in turned pictures, until its landmarks are level in one.
"""

import math
from collections.abc import Callable, Iterable

import cv2
import numpy as np

from lpips_jax.faces import rotated_boxes
from lpips_jax.faces.boxes import SAME_FACE_IOU, overlap

UPRIGHT_SCORE = 0.915  # from which a face tilts no more than its landmarks say
SMALL_TILT = math.radians(10)  # up to which the boxes of upright faces fit
LEVEL_TILT = math.radians(3)  # at which a turned face counts as level
MAX_LOOKS = 3
TILT_PER_READING = 1.2  # landmarks understate the tilt by this factor
MIN_GAIN = 0.04  # of the score, by turning a face that lies on its side or upside down,
MIN_TURNED_SCORE = 0.8  # and the least score that it must then have
FINE_SIDE, COARSE_SIDE = 256, 192  # pixels of turned squares
FINE_EXTENT, COARSE_EXTENT = 1.8, 2.2  # sides of these squares in heights of the face
WHOLE_PICTURE_SIDE = 320  # pixels of the longer side of whole pictures that are turned
DUPLICATE_IOU = 0.5  # two faces that overlap more are one
MAX_FACES_LOOKED_AT = 4  # the largest of a picture; the rest of a crowd is not looked at again
COARSE_TURNS = tuple(math.radians(turn) for turn in (60, -60, 120, -120, 180))  # as fine as scores can distinguish

Find = Callable[[np.ndarray], np.ndarray]  # from a picture to its faces; see `find_tilted`


def read_tilt(landmarks: np.ndarray) -> np.ndarray:
  """Returns how far faces tilt, as read off their landmarks.

  It is the mean of two tilts: that of the line from the eyes to the mouth, which follows a head best, and that of the
  lines across the eyes and across the mouth.

  Args:
    landmarks: (n, 5, 2), YuNet's: both eyes, the nose, and both corners of the mouth; for an upright face those on the
      left of the picture come first.

  Returns:
    (n,) in radians, clockwise.
  """
  eye_left, eye_right, _, mouth_left, mouth_right = np.moveaxis(landmarks.astype(np.float64), 1, 0)
  across = (eye_right - eye_left) / 2 + (mouth_right - mouth_left) / 2
  down = (mouth_left + mouth_right - eye_left - eye_right) / 2
  middle = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
  axis = np.stack([down[:, 1], -down[:, 0]], axis=1)
  middle = middle + axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-9)
  return np.arctan2(middle[:, 1], middle[:, 0])


def find_tilted(find: Find, picture: np.ndarray) -> np.ndarray:
  """Finds the faces of a picture, at whatever angle.

  Args:
    find: finds those that are more or less upright: (n, 6) float32, left, top, right, bottom, score, and the tilt that
      `read_tilt` returns.
    picture: (H, W, 3) uint8.

  Returns:
    (n, 6) float32, the box of each as if it were upright (see `faces.rotated_boxes`), its score, and its roll.
  """
  faces = find(picture)
  if not len(faces):
    again = [_upright(find, picture, face) for face in _in_turned_pictures(find, picture)]
    return _without_duplicates([face for face in again if face is not None and face[4] >= MIN_TURNED_SCORE])
  doubtful = [k for k in np.argsort(-_areas(faces)) if faces[k, 4] < UPRIGHT_SCORE or abs(faces[k, 5]) > SMALL_TILT]
  if not doubtful:
    return faces
  faces[doubtful, 5] *= faces[doubtful, 4] >= UPRIGHT_SCORE  # below it, landmarks cannot be trusted
  for k in doubtful[:MAX_FACES_LOOKED_AT]:
    upright = _upright(find, picture, faces[k])
    if upright is not None:
      faces[k] = upright
  return _without_duplicates(faces)


def _upright(find: Find, picture: np.ndarray, face: np.ndarray) -> np.ndarray | None:
  """Finds a face, (6,), in a picture turned until it is level; None if it is not found there with certainty."""
  seen, turn, least = face, face[5], 0.0
  if face[4] < UPRIGHT_SCORE:
    plain = _look(find, picture, face, 0.0, COARSE_EXTENT, COARSE_SIDE)
    if plain is None or plain[0][4] < UPRIGHT_SCORE:
      turn, least = _rough_turn(find, picture, face, plain)
    elif abs(plain[1]) <= SMALL_TILT:
      return np.array([*face[:4], *plain[0][4:]], np.float32)
    else:
      turn = plain[1]
  for _ in range(MAX_LOOKS):
    again = _look(find, picture, seen, turn, FINE_EXTENT, FINE_SIDE)
    if again is None:
      return None
    seen, left = again
    if abs(left) <= LEVEL_TILT:
      break
    turn += TILT_PER_READING * left
  seen[5] = rotated_boxes.unwrapped(seen[5], 0)
  return seen if abs(seen[5]) < math.pi / 4 or seen[4] >= least else None


def _rough_turn(
  find: Find, picture: np.ndarray, face: np.ndarray, plain: tuple[np.ndarray, float] | None
) -> tuple[float, float]:
  """Returns the turn at which a face is roughly upright, and the score that it needs there if it is far from upright.

  Args:
    find, picture, face: as for `_look`.
    plain: the result of `_look` in the picture as it is.
  """
  found = {turn: _look(find, picture, face, turn, COARSE_EXTENT, COARSE_SIDE) for turn in COARSE_TURNS} | {0.0: plain}
  seen = {turn: one for turn, one in found.items() if one is not None}
  if not seen:
    return 0.0, MIN_TURNED_SCORE
  best = max(seen, key=lambda turn: seen[turn][0][4])
  as_it_was = 0.0 if plain is None else float(plain[0][4])
  return best + TILT_PER_READING * seen[best][1], max(MIN_TURNED_SCORE, as_it_was + MIN_GAIN)


def _look(
  find: Find, picture: np.ndarray, face: np.ndarray, turn: float, around: float, side: int
) -> tuple[np.ndarray, float] | None:
  """Finds a face in a square that is turned: the face, (6,), in the picture, and its tilt in the square; or None."""
  about, extent = rotated_boxes.middle(face), around * float((face[2:4] - face[:2]).max())
  square, to_picture, shift = rotated_boxes.turned_square(picture, about, extent, turn, side)
  found = find(square)
  if not len(found):
    return None
  best = found[found[:, 4].argmax()]
  if overlap([side * (0.5 - 0.5 / around)] * 2 + [side * (0.5 + 0.5 / around)] * 2, best[None])[0] < SAME_FACE_IOU:
    return None
  return rotated_boxes.turned_back(best[None], to_picture, shift)[0], float(best[5])


def _in_turned_pictures(find: Find, picture: np.ndarray) -> np.ndarray:
  """Returns the faces of whichever picture turned by quarters holds the surest one, as `find_tilted` does."""
  scale = min(1.0, WHOLE_PICTURE_SIDE / max(picture.shape[:2]))
  size = [max(1, round(scale * side)) for side in picture.shape[1::-1]]
  small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture
  best = np.zeros((0, 6), np.float32)
  for quarters, roll in ((1, math.pi / 2), (-1, -math.pi / 2), (2, math.pi)):
    turned = np.ascontiguousarray(np.rot90(small, quarters))
    found = find(turned)
    if found[:, 4].max(initial=0.0) > best[:, 4].max(initial=0.0):
      to_picture = rotated_boxes.rotation(roll) / scale
      shift = np.array(picture.shape[1::-1]) / 2 - to_picture @ (np.array(turned.shape[1::-1]) / 2)
      best = rotated_boxes.turned_back(found, to_picture, shift)
  return best


def _areas(faces: np.ndarray) -> np.ndarray:
  return np.prod(faces[:, 2:4] - faces[:, :2], axis=1)


def _without_duplicates(faces: Iterable[np.ndarray]) -> np.ndarray:
  """Returns each of the faces, (6,), once: two that were found on a head that lies may turn out to be one."""
  kept: list[np.ndarray] = []
  for face in sorted(faces, key=lambda face: -face[4]):
    if not kept or overlap(face, np.array(kept)).max() < DUPLICATE_IOU:
      kept.append(face)
  return np.array(kept, np.float32).reshape(-1, 6)
