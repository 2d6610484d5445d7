"""Paints what does not move: the head as a lit height field under hair, and the room with neck and shoulders.

A detector wants shading more than detail: without eye sockets, nose and cheeks YuNet found 65 % of such faces and the
cascade 85 %, with them practically all.
"""

import numpy as np

from data_pipeline.corpora.talking_faces.canvas import Canvas, blob, canvas, inside, mix, pair, rise
from data_pipeline.corpora.talking_faces.looks import Looks

HEAD = (-1.35, -1.55, 1.35, 1.65)  # left, top, right, bottom of the head's sheet, face units
EYE_U, EYE_V = 0.315, -0.12  # centre of the right eye; the left one mirrors it
MOUTH_V = 0.545


def paint_head(looks: Looks, density: float) -> np.ndarray:
  """Returns the head without eyes and mouth.

  Args:
    looks: whose.
    density: pixels in a face unit.

  Returns:
    (H, W, 4) float32 in [0, 1], premultiplied, covering `HEAD`.
  """
  sheet = canvas(*HEAD, density)
  rng = np.random.default_rng(looks.texture)
  outline = _outline(sheet, looks)
  light = lighting(sheet, looks)
  skin = _skin(sheet, looks) * light
  hair, hair_back, hair_front = _hair(sheet, looks, rng)

  ears = inside(sheet, ((np.abs(sheet.u) - looks.width + 0.01) / 0.085) ** 2 + ((sheet.v + 0.02) / 0.20) ** 2 - 1)
  ear_shade = 0.80 - 0.25 * pair(sheet, looks.width + 0.02, -0.02, 0.035, 0.10)
  ear = np.asarray(looks.skin, np.float32) * (light * ear_shade[..., None])
  face = inside(sheet, outline)

  colour = mix(hair, ear, ears * (looks.style != 'long'))
  alpha = np.maximum(hair_back, ears)
  colour = mix(colour, skin, face)
  alpha = np.maximum(alpha, face)
  colour = mix(colour, hair, hair_front)
  alpha = np.maximum(alpha, hair_front)
  if looks.glasses:
    colour = _put_on_glasses(sheet, colour)
  return np.dstack([np.clip(colour, 0, 1) * alpha[..., None], alpha]).astype(np.float32)


def paint_room(looks: Looks, sheet: Canvas) -> np.ndarray:
  """Returns wall, neck and shoulders, (H, W, 3) float32 in [0, 1]."""
  rng = np.random.default_rng(looks.texture + 1)
  u, v = sheet.u, sheet.v
  wall = np.asarray(looks.wall, np.float32) * (0.92 + 0.16 * rise(u * -np.sign(looks.light[0]), 1.8, -1.8))[..., None]
  for _ in range(7):
    spot = np.hypot(u - rng.uniform(-1.8, 1.8), v - rng.uniform(-1.6, 1.2)) / rng.uniform(0.15, 0.5)
    tint = np.clip(np.asarray(looks.wall) + rng.normal(0, 0.10) + rng.normal(0, 0.05, 3), 0, 1)
    wall = mix(wall, tint, 0.5 * rise(spot, 1.25, 0.75))
  wall *= (1 - 0.10 * rise(np.hypot(u, v), 1.0, 2.4))[..., None]

  shade = 0.80 + 0.28 * rise(u * np.sign(looks.light[0]), -0.6, 0.6)
  neck_width = 0.40 + 0.10 * looks.width
  flare = neck_width + 0.25 * rise(v, 1.0, 1.6) ** 2
  neck = inside(sheet, np.maximum(np.abs(u) - flare, 0.3 - v))
  under_chin = 1 - 0.50 * np.exp(-(((v - 0.98) / 0.22) ** 2) - (u / 0.6) ** 2)
  room = mix(wall, np.asarray(looks.skin, np.float32) * (0.86 * shade * under_chin)[..., None], neck)

  slope = 1.33 + 0.30 * np.abs(u) ** 1.6 + 0.9 * rise(np.abs(u), 0.95, 1.9) ** 2 - 0.22 * rise(np.abs(u), 0.55, 0.30)
  neckline = 0.26 * rise(np.abs(u), 0.5, 0.0)
  shirt = inside(sheet, slope + neckline - v)
  folds = 1 - 0.10 * np.sin(7 * u + 2 * np.sin(3 * v)) * rise(v, 1.3, 2.2)
  cloth = (
    np.asarray(looks.clothes, np.float32)
    * (shade * folds * (0.85 + 0.15 * rise(v - slope - neckline, 0, 0.1)))[..., None]
  )
  return np.clip(mix(room, cloth, shirt), 0, 1)


def lighting(sheet: Canvas, looks: Looks) -> np.ndarray:
  """Returns how bright the skin is, (H, W, 3): a warm key light and a cool fill on the height field of a face."""
  down, right = np.gradient(_relief(sheet, looks) * sheet.density)
  key = np.asarray(looks.light)
  lambert = (key[2] - right * key[0] - down * key[1]) / np.sqrt(1 + right**2 + down**2)
  half = (key + np.array([0, 0, 1])) / np.linalg.norm(key + np.array([0, 0, 1]))
  gloss = (half[2] - right * half[0] - down * half[1]) / np.sqrt(1 + right**2 + down**2)
  wrapped = np.clip((lambert + 0.25) / 1.25, 0, 1) ** 1.2
  shadow = _hollows(sheet, looks)
  warm, cool = np.array([1.06, 0.99, 0.92], np.float32), np.array([0.92, 0.98, 1.08], np.float32)
  blood = np.array([0.06, -0.01, -0.03], np.float32)  # light that went through the skin colours the terminator
  terminator = np.exp(-(((wrapped - 0.35) / 0.2) ** 2))
  light = (1.02 - 0.62 * looks.contrast) * cool + (0.14 + 0.80 * looks.contrast) * wrapped[..., None] * warm
  return (light + terminator[..., None] * blood) * shadow[..., None] + 0.16 * np.clip(gloss, 0, 1)[..., None] ** 22


def _outline(sheet: Canvas, looks: Looks) -> np.ndarray:
  """Returns the implicit outline of the face, below 0 inside: a superellipse that narrows towards the chin."""
  width = looks.width * (1 - looks.jaw * rise(sheet.v, 0.05, 0.95))
  height = np.where(sheet.v > 0, 1.02, 1.22)
  return np.abs(sheet.u / width) ** looks.chin + np.abs(sheet.v / height) ** np.where(sheet.v > 0, looks.chin, 2.1) - 1


def _relief(sheet: Canvas, looks: Looks) -> np.ndarray:
  """Returns the height of the face towards the camera, face units."""
  u, v = sheet.u, sheet.v
  depth = np.clip(1 - (u / (looks.width + 0.05)) ** 2 * 0.92 - (v / 1.25) ** 2 * 0.80, 0.02, 1)
  height = 0.62 * np.sqrt(depth)
  ridge = np.exp(-((u / (0.055 + 0.03 * rise(v, 0.0, 0.3)) / looks.nose) ** 2))
  height += 0.15 * ridge * rise(v, -0.22, 0.25) * rise(v, 0.40, 0.29)
  height += 0.07 * blob(sheet, 0, 0.27, 0.09 * looks.nose, 0.075)
  height += 0.045 * pair(sheet, 0.105 * looks.nose, 0.295, 0.050, 0.050)
  height -= 0.075 * pair(sheet, EYE_U, EYE_V - 0.01, 0.17, 0.10)
  height += 0.045 * pair(sheet, EYE_U, EYE_V - 0.005, 0.115, 0.075)
  height += 0.045 * pair(sheet, 0.28, -0.31, 0.22, 0.075)
  height += 0.050 * pair(sheet, 0.44, 0.16, 0.20, 0.15)
  height -= 0.030 * pair(sheet, 0.50, 0.52, 0.14, 0.20)
  height += 0.050 * blob(sheet, 0, MOUTH_V, 0.30, 0.20)
  height -= 0.016 * blob(sheet, 0, 0.42, 0.030, 0.06)
  height -= 0.030 * blob(sheet, 0, 0.72, 0.20, 0.055)
  height += 0.055 * blob(sheet, 0, 0.86, 0.20, 0.11)
  return height


def _hollows(sheet: Canvas, looks: Looks) -> np.ndarray:
  """Returns the share of the light that reaches the hollows of the face, 0 to 1."""
  fold = np.abs(sheet.u) - (0.16 * looks.nose + 0.42 * (sheet.v - 0.30))
  light = 1 - 0.26 * pair(sheet, 0.24, EYE_V - 0.07, 0.12, 0.075)
  light *= 1 - 0.16 * pair(sheet, EYE_U, EYE_V + 0.02, 0.22, 0.13)
  light *= 1 - 0.42 * pair(sheet, 0.060 * looks.nose, 0.335, 0.034, 0.020)
  light *= 1 - 0.25 * blob(sheet, 0, 0.365, 0.12 * looks.nose, 0.028)
  light *= 1 - 0.12 * np.exp(-((fold / 0.035) ** 2)) * rise(sheet.v, 0.28, 0.36) * rise(sheet.v, 0.62, 0.45)
  light *= 1 - 0.20 * blob(sheet, 0, 0.715, 0.17, 0.038)
  light *= 1 - 0.14 * rise(np.abs(sheet.u) / looks.width, 0.72, 1.05)
  light *= 1 - 0.10 * rise(sheet.v, 0.75, 1.02)
  return light


def _skin(sheet: Canvas, looks: Looks) -> np.ndarray:
  """Returns the colour of the skin, eyebrows and beard included, before light falls on it."""
  skin = np.broadcast_to(np.asarray(looks.skin, np.float32), (*sheet.u.shape, 3))
  flush = pair(sheet, 0.43, 0.22, 0.20, 0.16) + 0.7 * blob(sheet, 0, 0.27, 0.10, 0.08)
  skin = skin * (1 - looks.blush * flush[..., None] * np.array([0.00, 0.11, 0.10], np.float32))

  across = (np.abs(sheet.u) - 0.30) / 0.19
  arc = -0.335 - looks.arch * (1 - across**2) + 0.02 * across
  thick = looks.brow * (1 - 0.45 * rise(across, -0.2, 1.0))
  brow = rise(np.abs(sheet.v - arc) / thick, 1.25, 0.55) * rise(np.abs(across), 1.06, 0.90)
  skin = mix(skin, np.asarray(looks.hair) * 0.75, 0.85 * brow)

  u, v = np.abs(sheet.u), sheet.v
  lips = rise(np.hypot(u / 0.36, (v - MOUTH_V - 0.01) / 0.165), 0.95, 1.15)
  jawline = rise(v + 0.55 * u, 0.62, 0.82) * rise(u + 0.6 * (v - 0.3), 0.15, 0.35)
  skin = mix(skin, np.asarray(looks.hair) * 0.9, looks.beard * 0.85 * np.clip(jawline, 0, 1) * lips)
  under_nose = rise(v, 0.385, 0.43) * rise(v, 0.56, 0.47) * rise(u + 0.5 * (v - 0.44), 0.31, 0.24)
  return mix(skin, np.asarray(looks.hair) * 0.9, looks.moustache * 0.85 * under_nose)


def _hair(sheet: Canvas, looks: Looks, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns the colour of the hair, what lies behind the face and what falls over the forehead."""
  u, v = sheet.u, sheet.v
  angle = np.arctan2(u, -(v + 0.2))
  wave = _ripple(angle, rng, 9 if looks.style == 'curly' else 4)
  volume = {'shaved': 0.012, 'curly': 1.6 * looks.volume}.get(looks.style, looks.volume)
  bumpy = {'shaved': 0.0, 'curly': 0.05}.get(looks.style, 0.015)
  radius = np.hypot(u / (looks.width + volume * 0.75), (v + 0.2) / (1.02 + volume + 0.0))
  cap = np.where(v < 0.05, radius, np.hypot(u / (looks.width + volume * 0.75), (v - 0.05) / 0.30 + 0.2))
  back = inside(sheet, cap - 1 - bumpy * wave, 0.02)
  if looks.style == 'long':
    fall = np.abs(u) - (looks.width + volume * (0.9 + 0.5 * rise(v, -0.2, 0.9))) - 0.012 * _ripple(4 * v, rng, 3)
    back = np.maximum(back, inside(sheet, np.maximum(fall, np.abs(v - 0.5) - 0.78), 0.03) * rise(v, 1.28, 1.0))

  part = rng.choice([-1, 1]) * 0.25
  strands = _ripple(14 * angle + 3 * np.hypot(u, v), rng, 6)
  temples = 0.62 * np.abs(u / looks.width) ** 3.2
  line = looks.hairline + temples
  if looks.style == 'swept':
    line = looks.hairline + 0.15 * rise(u / np.sign(part), 0.3, -0.7) + temples
  if looks.style == 'fringe':
    line = np.maximum(-0.52 + 0.05 * np.abs(u) ** 2, line)
  edge = 0.22 if looks.style == 'shaved' else 0.05
  front = back * rise(v - line + 0.012 * strands, edge / 2, -edge / 2)
  if looks.style == 'shaved':
    front, back = 0.45 * front, np.zeros_like(back)

  glow = np.exp(-(((radius - 0.80) / 0.10) ** 2)) * rise(u * np.sign(looks.light[0]), -0.9, 0.6)
  shine = 0.72 + 0.16 * strands + 0.5 * glow * (0.7 + 0.3 * strands) + 0.22 * rise(v, 0.6, -1.2)
  return np.asarray(looks.hair, np.float32) * shine[..., None] + 0.03 * glow[..., None], back, front


def _ripple(x: np.ndarray, rng: np.random.Generator, waves: int) -> np.ndarray:
  """Returns smooth noise of unit size along `x`: a few sines of unrelated frequencies."""
  total = sum(np.sin(rng.uniform(1.5, 4.0 + 2 * waves) * x + rng.uniform(0, 2 * np.pi)) for _ in range(waves))
  return (total / np.sqrt(waves / 2)).astype(np.float32)


def _put_on_glasses(sheet: Canvas, colour: np.ndarray) -> np.ndarray:
  u, v = np.abs(sheet.u), sheet.v
  ring = np.hypot((u - EYE_U) / 0.215, (v - EYE_V - 0.02) / 0.175)
  rim = rise(np.abs(ring - 1), 0.115, 0.035)
  bridge = rise(np.abs(v - EYE_V + 0.03 - 0.6 * u**2), 0.026, 0.012) * rise(u, 0.125, 0.105)
  temple = rise(np.abs(v - EYE_V + 0.02), 0.026, 0.012) * rise(u, 0.50, 0.54)
  lens = rise(ring, 1.0, 0.95)
  colour = mix(colour, (0.85, 0.92, 1.0), 0.06 * lens)
  return mix(colour, (0.09, 0.08, 0.09), 0.92 * np.clip(rim + bridge + temple, 0, 1))
