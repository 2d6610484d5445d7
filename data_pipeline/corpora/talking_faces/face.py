"""Renders a talking head: a painted portrait with a moving jaw, mouth and eyes, moved in front of a room."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial

import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.appearance import Appearance
from data_pipeline.corpora.talking_faces.articulation import Articulation, at_frames
from data_pipeline.corpora.talking_faces.canvas import Canvas, canvas, to_picture, to_planes
from data_pipeline.corpora.talking_faces.features import (
  EYE_REGION,
  MOUTH_REGION,
  Lips,
  jaw_drop,
  jaw_weight,
  paint_eye,
  paint_mouth,
)
from data_pipeline.corpora.talking_faces.portrait import HEAD, lighting, paint_head, paint_room
from lpips_jax.core.constants import FRAME_RATE

SCENE_SIZE = 256  # pixels, the side of the picture from which records are cut
_UNIT = 0.31  # a face unit in sides of the scene: the head is framed as in a news reader's close-up
_DETAIL = 1.15  # pixels of the painted head per pixel of the scene
_JAW_TOP = 0.40  # v above which the jaw moves nothing


@dataclass(frozen=True)
class Motion:
  """The movements of a head in a clip; all but the gaze have one row for each frame.

  Attributes:
    shift: (T, 2) right and down, in face units.
    turn: (T,) in-plane rotation, radians.
    zoom: (T,) size relative to the normal one.
    eyes: (T,) 1 open, 0 shut.
    gaze: offset of the irises to the right, face units.
  """

  shift: np.ndarray
  turn: np.ndarray
  zoom: np.ndarray
  eyes: np.ndarray
  gaze: float


def draw_motion(rng: np.random.Generator, n_frames: int) -> Motion:
  """Draws slow random movements: sums of slow sines, since smoothed noise tilts the head where it has no past."""
  time = np.arange(n_frames) / FRAME_RATE
  return Motion(
    shift=np.stack([sway(rng, time, 0.03), sway(rng, time, 0.02)], 1) + rng.uniform(-0.12, 0.12, 2),
    turn=sway(rng, time, 0.03) + rng.normal(0, 0.03),
    zoom=rng.uniform(0.90, 1.06) * (1 + sway(rng, time, 0.012)),
    eyes=_blinks(rng, time),
    gaze=rng.uniform(-0.014, 0.014),
  )


def head_to_scene(motion: Motion, frame: int, scene: int) -> np.ndarray:
  """Returns the (2, 3) matrix from face units to scene pixels in one frame."""
  unit = _UNIT * scene * motion.zoom[frame]
  cos, sin = unit * np.cos(motion.turn[frame]), unit * np.sin(motion.turn[frame])
  right, down = _UNIT * scene * motion.shift[frame]
  return np.array([[cos, -sin, 0.5 * scene + right], [sin, cos, 0.53 * scene + down]])


def sway(rng: np.random.Generator, time: np.ndarray, size: float) -> np.ndarray:
  """Draws a slow random movement of about `size`, with one value for each time in seconds."""
  waves = [np.sin(2 * np.pi * (rng.uniform(0.08, 0.5) * time + rng.random())) for _ in range(3)]
  return size * np.mean(waves, axis=0) * np.sqrt(3)


def render(
  appearance: Appearance,
  articulation: Articulation,
  motion: Motion,
  scene: int = SCENE_SIZE,
  window: tuple | None = None,
) -> Iterator[np.ndarray]:
  """Yields the frames of a clip.

  Args:
    appearance: the face.
    articulation: the gestures of the mouth.
    motion: the movements of the head.
    scene: side of the picture in pixels.
    window: left, top, right, bottom of the part of the picture to render; all of it by default.

  Yields:
    (H, W, 3) uint8 RGB.
  """
  left, top, right, bottom = window or (0, 0, scene, scene)
  unit = _UNIT * scene
  room_sheet = canvas(-0.5 / _UNIT, -0.53 / _UNIT, 0.5 / _UNIT, 0.47 / _UNIT, unit)
  room = to_picture(paint_room(appearance, room_sheet))[top:bottom, left:right]
  density = unit * _DETAIL
  actor = _Actor(appearance, motion.gaze, density)
  sheet_to_head = np.array([[1 / density, 0, HEAD[0]], [0, 1 / density, HEAD[1]], [0, 0, 1]])
  n_frames = len(motion.turn)
  curves = np.stack([at_frames(getattr(articulation, field.name), n_frames) for field in fields(Lips)], axis=1)
  curves = np.round(curves, 3)  # far below a pixel; all of silence becomes the same pose
  for k in range(n_frames):
    head = actor.head(Lips(*curves[k].tolist()), float(motion.eyes[k]))
    place = head_to_scene(motion, k, scene) @ sheet_to_head
    place[:, 2] += place[:, :2] @ (0.5, 0.5) - (left + 0.5, top + 0.5)  # OpenCV counts from pixel centres
    moved = cv2.warpAffine(head, place, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    clear = 255 - moved[..., 3]
    yield cv2.add(moved[..., :3], cv2.multiply(room, cv2.merge([clear, clear, clear]), scale=1 / 255))


class _Actor:
  """A painted head that speaks and blinks; what does not change is painted once."""

  def __init__(self, appearance: Appearance, gaze: float, density: float):
    self.appearance, self.gaze = appearance, gaze
    sheet = canvas(*HEAD, density)
    light = lighting(sheet, appearance)
    self._still = to_picture(paint_head(appearance, sheet, light))
    self._jaw_row = int((_JAW_TOP - HEAD[1]) * density)
    rows, columns = np.indices(sheet.u.shape, np.float32)[:, self._jaw_row :]
    self._columns, self._rows = columns, rows - self._jaw_row
    self._jaw = jaw_weight(sheet)[self._jaw_row :] * density
    self._blinks: dict[float, np.ndarray] = {}  # the head by the opening of its eyes, which is mostly 1
    self._last: tuple[Lips, float, np.ndarray] | None = None  # in silence the pose does not change
    self._mouth = _Patch(sheet, light, MOUTH_REGION)
    self._eyes = [_Patch(sheet, light, EYE_REGION), _Patch(sheet, light, EYE_REGION, mirrored=True)]

  def head(self, lips: Lips, eyes: float) -> np.ndarray:
    """Returns the head of one frame, (H, W, 4) uint8, premultiplied; `eyes` is their opening, 0 to 1."""
    if self._last is None or self._last[:2] != (lips, eyes):
      self._last = lips, eyes, self._moved(lips, eyes)
    return self._last[2]

  def _moved(self, lips: Lips, eyes: float) -> np.ndarray:
    if eyes not in self._blinks:
      self._blinks[eyes] = self._with_eyes(eyes)
    head = self._blinks[eyes].copy()
    drop = np.float32(jaw_drop(lips.opening))
    head[self._jaw_row :] = cv2.remap(
      self._still[self._jaw_row :], self._columns, self._rows - drop * self._jaw, cv2.INTER_LINEAR
    )
    self._mouth.repaint(head, lambda skin, patch: paint_mouth(skin, patch.sheet, self.appearance, patch.light, lips))
    return head

  def _with_eyes(self, openness: float) -> np.ndarray:
    head = self._still.copy()
    for eye, gaze in zip(self._eyes, (self.gaze, -self.gaze), strict=True):
      eye.repaint(head, partial(self._paint_eye, openness=openness, gaze=gaze))
    return head

  def _paint_eye(self, skin: np.ndarray, patch: '_Patch', openness: float, gaze: float) -> np.ndarray:
    return paint_eye(skin, patch.sheet, self.appearance, patch.light, openness, gaze)


class _Patch:
  """A rectangle of the head's canvas: its rows and columns, its own canvas and the light on it."""

  def __init__(self, sheet: Canvas, light: np.ndarray, region: tuple, mirrored: bool = False):
    left, top, right, bottom = region
    if mirrored:
      left, right = -right, -left
    self.rows = _pixels(sheet, top - HEAD[1], bottom - HEAD[1])
    self.columns = _pixels(sheet, left - HEAD[0], right - HEAD[0])
    u, v = sheet.u[self.rows, self.columns], sheet.v[self.rows, self.columns]
    self.sheet = Canvas(-u if mirrored else u, v, sheet.density)
    self.light = light[:, self.rows, self.columns]

  def repaint(self, head: np.ndarray, paint: Callable[[np.ndarray, '_Patch'], np.ndarray]) -> None:
    """Repaints this rectangle of `head` in place; `paint` maps its colours to new ones."""
    region = head[self.rows, self.columns, :3]
    region[:] = to_picture(paint(to_planes(region), self))


def _pixels(sheet: Canvas, start: float, end: float) -> slice:
  return slice(round(start * sheet.density), round(end * sheet.density))


def _blinks(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
  """Draws the opening of the eyes: a blink of about a fifth of a second every few seconds."""
  eyes, next_blink = np.ones(len(time)), rng.uniform(0.2, 3.0)
  while next_blink < time[-1]:
    eyes = np.minimum(eyes, np.clip(np.abs(time - next_blink) / 0.10 - 0.25, 0, 1))
    next_blink += rng.uniform(1.8, 4.5)
  return eyes
