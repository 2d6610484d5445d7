"""How heads tilt, as YuNet sees them: it knows upright faces best, so one looks again in turned pictures.

What was measured on six clips of real people, turned by 0 to 180 degrees: YuNet finds faces at any angle, but its boxes
are upright ones, and of an upright shape, only up to 15 degrees, and its landmarks follow a head to about 30. Beyond,
they are those of some upright face; of a head that is upside down they are those of one that is not. Its score tells:
0.92 to 0.96 for upright faces, at most 0.91 for those turned by 45 degrees or more. So a face that scores less, or
whose landmarks tilt, is seen again in turned pictures, until its landmarks are level in one.
"""

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from lpips_jax.faces import rotated_boxes
from lpips_jax.faces.boxes import SAME_FACE, overlap

SURE = 0.915  # a score from which a face is taken to be upright, but for what its landmarks say
SMALL = math.radians(10)  # a tilt up to which boxes of upright faces are right
LEVEL = math.radians(3)  # what is left of a tilt when one has looked often enough
LOOKS = 3
UNDERSTATED = 1.2  # how much more than their landmarks say faces tilt
BETTER = 0.04  # by how much a face that lies must at last score more than in the picture as it was,
CONFIRMED = 0.8  # and what it must score
SQUARE, COARSE_SQUARE = 256, 192  # pixels
AROUND, COARSE_AROUND = 1.8, 2.2  # sides of these squares in heights of the face
WHOLE_SIDE = 320  # pixels of the longer side of whole pictures that are turned
SAME_PLACE = 0.5  # intersection over union of two faces that are one
MOST_LOOKED_AT = 4  # faces of a picture, the largest: in crowds one looks no further
TURNS = tuple(math.radians(turn) for turn in (60, -60, 120, -120, 180))  # as far apart as scores can tell

Find = Callable[[np.ndarray], np.ndarray]  # as `find_tilted` returns them, but as if all faces were upright


def reading(landmarks: np.ndarray) -> np.ndarray:
  """Returns by how much faces tilt as their landmarks have it, in radians.

  The mean of the tilt of the line from the eyes to the mouth, which follows a head best, and of those across both.

  Args:
    landmarks: (n, 5, 2), YuNet's: both eyes, the nose, and both corners of the mouth; of an upright face those on the
      left of the picture first.
  """
  eye_left, eye_right, _, mouth_left, mouth_right = np.moveaxis(landmarks.astype(np.float64), 1, 0)
  across = (eye_right - eye_left) / 2 + (mouth_right - mouth_left) / 2
  down = (mouth_left + mouth_right - eye_left - eye_right) / 2
  middle = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
  axis = np.stack([down[:, 1], -down[:, 0]], axis=1)
  middle = middle + axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-9)
  return np.arctan2(middle[:, 1], middle[:, 0])


def find_tilted(find: Find, picture: np.ndarray) -> np.ndarray:
  """Returns the faces of a picture, however they are turned.

  Args:
    find: returns the faces of a picture that are more or less upright: (n, 6) float32, left, top, right, bottom, score,
      and `reading`.
    picture: (H, W, 3) uint8.

  Returns:
    (n, 6) float32, the box of each as if it were upright (see `faces.rotated_boxes`), score, and roll.
  """
  faces = find(picture)
  if not len(faces):
    again = [_upright(find, picture, face) for face in _in_turned_pictures(find, picture)]
    return _without_doubles([face for face in again if face is not None and face[4] >= CONFIRMED])
  doubtful = [k for k in np.argsort(-_areas(faces)) if faces[k, 4] < SURE or abs(faces[k, 5]) > SMALL]
  if not doubtful:
    return faces
  faces[doubtful, 5] *= faces[doubtful, 4] >= SURE  # else nobody knows what its landmarks are those of
  for k in doubtful[:MOST_LOOKED_AT]:
    upright = _upright(find, picture, faces[k])
    if upright is not None:
      faces[k] = upright
  return _without_doubles(faces)


def _upright(find: Find, picture: np.ndarray, face: np.ndarray) -> np.ndarray | None:
  """The same face, (6,), seen in a picture in which it is level; None if it is not surely found there."""
  seen, turn, least = face, face[5], 0.0
  if face[4] < SURE:
    plain = _look(find, picture, face, 0.0, COARSE_AROUND, COARSE_SQUARE)
    if plain is None or plain[0][4] < SURE:
      turn, least = _rough_turn(find, picture, face, plain)
    elif abs(plain[1]) <= SMALL:
      return np.array([*face[:4], *plain[0][4:]], np.float32)
    else:
      turn = plain[1]
  for _ in range(LOOKS):
    again = _look(find, picture, seen, turn, AROUND, SQUARE)
    if again is None:
      return None
    seen, left = again
    if abs(left) <= LEVEL:
      break
    turn += UNDERSTATED * left
  seen[5] = rotated_boxes.unwrapped(seen[5], 0)
  return seen if abs(seen[5]) < math.pi / 4 or seen[4] >= least else None


def _rough_turn(
  find: Find, picture: np.ndarray, face: np.ndarray, plain: tuple[np.ndarray, float] | None
) -> tuple[float, float]:
  """By how much to turn a picture so that a face in it is roughly upright, and what it must then score if it lies.

  Args:
    find, picture, face: see `_look`.
    plain: what that says of the picture as it is.
  """
  found = {turn: _look(find, picture, face, turn, COARSE_AROUND, COARSE_SQUARE) for turn in TURNS} | {0.0: plain}
  seen = {turn: one for turn, one in found.items() if one is not None}
  if not seen:
    return 0.0, CONFIRMED
  best = max(seen, key=lambda turn: seen[turn][0][4])
  as_it_was = 0.0 if plain is None else float(plain[0][4])
  return best + UNDERSTATED * seen[best][1], max(CONFIRMED, as_it_was + BETTER)


def _look(
  find: Find, picture: np.ndarray, face: np.ndarray, turn: float, around: float, side: int
) -> tuple[np.ndarray, float] | None:
  """The face, (6,), as it is found in the picture turned, and its reading there; None if it is not."""
  about, extent = rotated_boxes.middle(face), around * float((face[2:4] - face[:2]).max())
  square, to_picture, shift = rotated_boxes.turned_square(picture, about, extent, turn, side)
  found = find(square)
  if not len(found):
    return None
  best = found[found[:, 4].argmax()]
  if overlap([side * (0.5 - 0.5 / around)] * 2 + [side * (0.5 + 0.5 / around)] * 2, best[None])[0] < SAME_FACE:
    return None
  return rotated_boxes.turned_back(best[None], to_picture, shift)[0], float(best[5])


def _in_turned_pictures(find: Find, picture: np.ndarray) -> np.ndarray:
  """The faces of that picture, of those turned by quarters, in which one is surest, as `find_tilted` returns them."""
  scale = min(1.0, WHOLE_SIDE / max(picture.shape[:2]))
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


def _without_doubles(faces: Sequence[np.ndarray]) -> np.ndarray:
  """Faces, (n, 6) each once: of a head that lies, two faces may have been seen, which turn out to be one."""
  kept: list[np.ndarray] = []
  for face in sorted(faces, key=lambda face: -face[4]):
    if not kept or overlap(face, np.array(kept)).max() < SAME_PLACE:
      kept.append(face)
  return np.array(kept, np.float32).reshape(-1, 6)
