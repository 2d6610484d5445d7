"""Renders a talking head: the painted portrait, its jaw pulled down, mouth and eyes on it, moved in front of the room."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.articulation import FRAME_RATE, Articulation, at_frames
from data_pipeline.corpora.talking_faces.canvas import Canvas, canvas
from data_pipeline.corpora.talking_faces.features import (
  EYE_REGION,
  MOUTH_REGION,
  Lips,
  jaw_drop,
  jaw_weight,
  paint_eyes,
  paint_mouth,
)
from data_pipeline.corpora.talking_faces.looks import Looks
from data_pipeline.corpora.talking_faces.portrait import HEAD, lighting, paint_head, paint_room

SCENE = 256  # pixels, the side of the picture that records are cut from
_UNIT = 0.31  # face units to scene: the head fills the picture as in a news reader's close-up
_DETAIL = 1.15  # pixels of the painted head to pixels of the scene
_JAW_TOP = 0.40  # v above which the jaw moves nothing


@dataclass(frozen=True)
class Motion:
  """How a head moves through a clip; every field has one row per frame.

  Attributes:
    shift: (T, 2) right and down, in face units.
    turn: (T,) in-plane rotation, radians.
    zoom: (T,) size relative to the usual.
    eyes: (T,) 1 open, 0 shut.
    gaze: (T,) where the eyes look, face units.
  """

  shift: np.ndarray
  turn: np.ndarray
  zoom: np.ndarray
  eyes: np.ndarray
  gaze: np.ndarray


def draw_motion(rng: np.random.Generator, n_frames: int) -> Motion:
  """Returns slow random movements: sums of slow sines, since smoothed noise tilts the head where it has no past."""
  time = np.arange(n_frames) / FRAME_RATE
  return Motion(
    shift=np.stack([sway(rng, time, 0.03), sway(rng, time, 0.02)], 1) + rng.uniform(-0.12, 0.12, 2),
    turn=sway(rng, time, 0.03) + rng.normal(0, 0.03),
    zoom=rng.uniform(0.90, 1.06) * (1 + sway(rng, time, 0.012)),
    eyes=_blinks(rng, time),
    gaze=sway(rng, time, 0.006) + rng.uniform(-0.012, 0.012),
  )


def head_to_scene(motion: Motion, frame: int, scene: int) -> np.ndarray:
  """Returns the (2, 3) matrix that takes face units to scene pixels in one frame."""
  unit = _UNIT * scene * motion.zoom[frame]
  cos, sin = unit * np.cos(motion.turn[frame]), unit * np.sin(motion.turn[frame])
  right, down = _UNIT * scene * motion.shift[frame]
  return np.array([[cos, -sin, 0.5 * scene + right], [sin, cos, 0.53 * scene + down]])


def sway(rng: np.random.Generator, time: np.ndarray, size: float) -> np.ndarray:
  """Returns a slow random movement of about `size`, one value for each time in seconds."""
  waves = [np.sin(2 * np.pi * (rng.uniform(0.08, 0.5) * time + rng.random())) for _ in range(3)]
  return size * np.mean(waves, axis=0) * np.sqrt(3)


def render(
  looks: Looks, articulation: Articulation, motion: Motion, scene: int = SCENE, window: tuple | None = None
) -> Iterator[np.ndarray]:
  """Yields the frames of a clip.

  Args:
    looks: who speaks.
    articulation: what the mouth does.
    motion: what the head does.
    scene: side of the picture in pixels.
    window: left, top, right, bottom: the part of the picture to render; all of it unless given.

  Yields:
    (H, W, 3) uint8 RGB.
  """
  left, top, right, bottom = window or (0, 0, scene, scene)
  unit = _UNIT * scene
  room_sheet = canvas(-0.5 / _UNIT, -0.53 / _UNIT, 0.5 / _UNIT, 0.47 / _UNIT, unit)
  room = _to_uint8(paint_room(looks, room_sheet))[top:bottom, left:right]
  actor = _Actor(looks, unit * _DETAIL)
  sheet_to_head = np.array([[1 / actor.density, 0, HEAD[0]], [0, 1 / actor.density, HEAD[1]], [0, 0, 1]])
  n_frames = len(motion.turn)
  curves = {name: at_frames(getattr(articulation, name), n_frames) for name in Lips.__annotations__}
  for k in range(n_frames):
    head = actor.head(Lips(**{name: float(curve[k]) for name, curve in curves.items()}), motion.eyes[k], motion.gaze[k])
    place = head_to_scene(motion, k, scene) @ sheet_to_head
    place[:, 2] += place[:, :2] @ (0.5, 0.5) - (left + 0.5, top + 0.5)  # OpenCV counts from pixel centres
    moved = cv2.warpAffine(head, place, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    yield moved[..., :3] + cv2.multiply(room, 255 - moved[..., [3, 3, 3]], scale=1 / 255)


class _Actor:
  """A painted head that can be made to speak and blink; what does not change is painted once."""

  def __init__(self, looks: Looks, density: float):
    self.looks, self.density = looks, density
    self._still = _to_uint8(paint_head(looks, density))
    self._jaw_row = int((_JAW_TOP - HEAD[1]) * density)
    sheet = canvas(*HEAD, density)
    rows, columns = np.indices(sheet.u.shape, np.float32)[:, self._jaw_row :]
    self._columns, self._rows = columns, rows - self._jaw_row
    self._jaw = jaw_weight(sheet)[self._jaw_row :] * density
    light = lighting(sheet, looks).astype(np.float32)
    self._mouth = _Patch(sheet, light, MOUTH_REGION)
    self._eyes = [_Patch(sheet, light, EYE_REGION), _Patch(sheet, light, EYE_REGION, mirrored=True)]

  def head(self, lips: Lips, eyes: float, gaze: float) -> np.ndarray:
    """Returns the head of one frame, (H, W, 4) uint8, premultiplied."""
    head = self._still.copy()
    drop = np.float32(jaw_drop(lips.opening))
    head[self._jaw_row :] = cv2.remap(
      self._still[self._jaw_row :], self._columns, self._rows - drop * self._jaw, cv2.INTER_LINEAR
    )
    mouth = self._mouth
    skin = head[mouth.rows, mouth.columns, :3] / np.float32(255)
    head[mouth.rows, mouth.columns, :3] = _to_uint8(paint_mouth(skin, mouth.sheet, self.looks, mouth.light, lips))
    for eye, look in zip(self._eyes, (gaze, -gaze), strict=True):
      skin = head[eye.rows, eye.columns, :3] / np.float32(255)
      head[eye.rows, eye.columns, :3] = _to_uint8(paint_eyes(skin, eye.sheet, self.looks, eye.light, eyes, look))
    return head


class _Patch:
  """A rectangle of the head's sheet: its slices, its own sheet and the light on it."""

  def __init__(self, sheet: Canvas, light: np.ndarray, region: tuple, mirrored: bool = False):
    left, top, right, bottom = region
    if mirrored:
      left, right = -right, -left
    first = lambda x, start: round((x - start) * sheet.density)
    self.rows = slice(first(top, HEAD[1]), first(bottom, HEAD[1]))
    self.columns = slice(first(left, HEAD[0]), first(right, HEAD[0]))
    u, v = sheet.u[self.rows, self.columns], sheet.v[self.rows, self.columns]
    self.sheet = Canvas(-u if mirrored else u, v, sheet.density)
    self.light = light[self.rows, self.columns]


def _blinks(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
  """Returns how open the eyes are: a blink of about a fifth of a second every few seconds."""
  eyes, next_blink = np.ones(len(time)), rng.uniform(0.2, 3.0)
  while next_blink < time[-1]:
    eyes = np.minimum(eyes, np.clip(np.abs(time - next_blink) / 0.10 - 0.25, 0, 1))
    next_blink += rng.uniform(1.8, 4.5)
  return eyes


def _to_uint8(picture: np.ndarray) -> np.ndarray:
  return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
