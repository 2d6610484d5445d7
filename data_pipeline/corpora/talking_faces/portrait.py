"""Paints what does not move: the head as a lit height field under hair, and the room with neck and shoulders.

Detectors need shading more than detail: without eye sockets, nose and cheeks YuNet found 65 % of such faces and the
cascade 85 %; with them, both find practically all.
"""

from math import copysign

import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.appearance import Appearance
from data_pipeline.corpora.talking_faces.canvas import Canvas, blob, inside, mix, pair, plain, rise

HEAD = (-1.35, -1.50, 1.35, 1.65)  # left, top, right, bottom of the head's canvas, face units
EYE_U, EYE_V = 0.315, -0.12  # centre of the right eye; the left one mirrors it
MOUTH_V = 0.545
_CROWN = 1.10  # top of the skull above the origin
_WARM, _COOL = plain((1.06, 0.99, 0.92)), plain((0.93, 0.98, 1.06))
_BLOOD = plain((0.07, -0.01, -0.03))  # light scattered in the skin reddens the edge of the shadow


def paint_head(appearance: Appearance, sheet: Canvas, light: np.ndarray) -> np.ndarray:
  """Returns the head without eyes and mouth.

  Args:
    appearance: the face.
    sheet: the canvas, which covers `HEAD`.
    light: (3, H, W), from `lighting`.

  Returns:
    (4, H, W) float32 in [0, 1]: red, green and blue, multiplied by the fourth plane, the opacity.
  """
  rng = np.random.default_rng(appearance.texture)
  hair, hair_behind, hair_before, shadow = _hair(sheet, appearance, rng)
  skin = _tone(_skin(sheet, appearance, rng) * light * shadow)

  ears = inside(sheet, ((np.abs(sheet.u) - appearance.width + 0.01) / 0.085) ** 2 + ((sheet.v + 0.02) / 0.20) ** 2 - 1)
  ears *= appearance.style != 'long'
  ear = plain(appearance.skin) * light * (0.84 - 0.30 * pair(sheet, appearance.width + 0.02, -0.02, 0.035, 0.10))
  face = inside(sheet, _outline(sheet, appearance))

  colour = mix(mix(mix(hair, ear, ears), skin, face), hair, hair_before)
  if appearance.glasses:
    colour = _put_on_glasses(sheet, colour)
  alpha = np.maximum(np.maximum(hair_behind, ears), np.maximum(face, hair_before))
  return np.concatenate([np.clip(colour, 0, 1) * alpha, alpha[None]]).astype(np.float32)


def paint_room(appearance: Appearance, sheet: Canvas) -> np.ndarray:
  """Returns wall, neck and shoulders, (3, H, W) float32 in [0, 1]."""
  rng = np.random.default_rng(appearance.texture + 1)
  u, v, side = sheet.u, sheet.v, copysign(1, appearance.light[0])
  across = np.abs(u)
  wall = plain(appearance.wall) * (0.92 + 0.16 * rise(u * side, -1.8, 1.8))
  for _ in range(7):  # lamps and windows, out of focus
    spot = np.hypot(u - rng.uniform(-1.8, 1.8), v - rng.uniform(-1.6, 1.2)) / rng.uniform(0.15, 0.5)
    tint = np.asarray(appearance.wall) + rng.normal(0, 0.10) + rng.normal(0, 0.04, 3)
    wall = mix(wall, plain(tint), 0.5 * rise(spot, 1.25, 0.75))
  wall *= 1 - 0.10 * rise(np.hypot(u, v), 1.0, 2.4)

  shade = 0.80 + 0.28 * rise(u * side, -0.6, 0.6)
  width = 0.38 + 0.12 * appearance.width
  neck = inside(sheet, np.maximum(across - width - 0.25 * rise(v, 1.0, 1.6) ** 2, 0.3 - v))
  under_chin = 1 - 0.50 * np.exp(-(((v - 0.98) / 0.24) ** 2) - (u / 0.6) ** 2)
  round_neck = 1 - 0.25 * (across / (width + 0.05)) ** 4
  room = mix(wall, _tone(plain(appearance.skin) * (0.90 * shade * under_chin * np.clip(round_neck, 0.5, 1))), neck)

  shoulder = 1.16 + 0.30 * across**1.6 + 0.9 * rise(across, 0.95, 1.9) ** 2
  collar = shoulder + 0.28 * rise(across, 0.54, 0.05)
  folds = 1 - 0.07 * np.sin(5 * u + 2 * np.sin(3 * v)) * rise(v, 1.3, 2.2)
  hem = 1 - 0.22 * np.exp(-(((v - collar - 0.065) / 0.012) ** 2)) * rise(across, 0.56, 0.50)
  cloth = plain(appearance.clothes) * (shade * folds * hem * (0.80 + 0.20 * rise(v - collar, 0, 0.10)))
  return np.clip(mix(room, cloth, inside(sheet, collar - v)), 0, 1)


def lighting(sheet: Canvas, appearance: Appearance) -> np.ndarray:
  """Returns the brightness of the skin, (3, H, W): a warm key light and a cool fill on the height field of a face."""
  down, right = np.gradient(_relief(sheet, appearance) * np.float32(sheet.density))
  steep = 1 / np.sqrt(1 + right**2 + down**2)
  x, y, z = appearance.light
  wrapped = np.clip(((z - right * x - down * y) * steep + 0.25) / 1.25, 0, 1) ** 1.2
  length = float(np.sqrt(x**2 + y**2 + (z + 1) ** 2))  # the gloss lies half-way between the light and the camera
  gloss = np.clip((z + 1 - right * x - down * y) * steep / length, 0, 1) ** 22
  terminator = np.exp(-(((wrapped - 0.35) / 0.2) ** 2))
  light = (
    (0.98 - 0.60 * appearance.contrast) * _COOL
    + (0.14 + 0.76 * appearance.contrast) * wrapped * _WARM
    + terminator * _BLOOD
  )
  return (light * _hollows(sheet, appearance) + 0.10 * gloss).astype(np.float32)


def _tone(colour: np.ndarray) -> np.ndarray:
  """Compresses highlights, so that bright skin keeps its colour: values approach 1 instead of passing it."""
  return np.where(colour < 0.75, colour, 0.75 + 0.25 * np.tanh((colour - 0.75) / 0.25))


def _outline(sheet: Canvas, appearance: Appearance) -> np.ndarray:
  """Returns the implicit outline of the face, below 0 inside: a superellipse that narrows towards the chin."""
  width = appearance.width * (1 - appearance.jaw * rise(sheet.v, 0.05, 0.95))
  height, power = np.where(
    sheet.v > 0, np.array([[[1.02]], [[appearance.chin]]], np.float32), np.array([[[_CROWN]], [[2.3]]], np.float32)
  )
  return np.abs(sheet.u / width) ** appearance.chin + np.abs(sheet.v / height) ** power - 1


def _relief(sheet: Canvas, appearance: Appearance) -> np.ndarray:
  """Returns the height of the face towards the camera, face units."""
  u, v = sheet.u, sheet.v
  depth = np.clip(1 - (u / (appearance.width + 0.05)) ** 2 * 0.92 - (v / 1.22) ** 2 * 0.80, 0.02, 1)
  height = 0.60 * np.sqrt(depth)
  ridge = np.exp(-((u / (0.085 + 0.035 * rise(v, 0.0, 0.3)) / appearance.nose) ** 2))
  height += 0.125 * ridge * rise(v, -0.24, 0.25) * rise(v, 0.40, 0.29)
  height += 0.075 * blob(sheet, 0, 0.265, 0.095 * appearance.nose, 0.080)
  height += 0.045 * pair(sheet, 0.108 * appearance.nose, 0.295, 0.052, 0.050)
  height -= 0.070 * pair(sheet, EYE_U, EYE_V - 0.01, 0.19, 0.11)
  height += 0.050 * pair(sheet, EYE_U, EYE_V - 0.005, 0.125, 0.085)
  height += 0.040 * pair(sheet, 0.28, -0.31, 0.22, 0.075)
  height += 0.055 * pair(sheet, 0.44, 0.16, 0.20, 0.15)
  height -= 0.025 * pair(sheet, 0.50, 0.52, 0.14, 0.20)
  height += 0.045 * blob(sheet, 0, MOUTH_V, 0.30, 0.20)
  height -= 0.012 * blob(sheet, 0, 0.42, 0.030, 0.06)
  height -= 0.028 * blob(sheet, 0, 0.72, 0.20, 0.055)
  height += 0.050 * blob(sheet, 0, 0.86, 0.20, 0.11)
  return height


def _hollows(sheet: Canvas, appearance: Appearance) -> np.ndarray:
  """Returns the share of the light that reaches the hollows of the face, 0 to 1."""
  across = np.abs(sheet.u)
  fold = across - (0.16 * appearance.nose + 0.42 * (sheet.v - 0.30))
  light = 1 - 0.22 * pair(sheet, 0.22, EYE_V - 0.06, 0.12, 0.08)
  light *= 1 - 0.14 * pair(sheet, EYE_U, EYE_V + 0.01, 0.23, 0.14)
  light *= 1 - 0.10 * pair(sheet, 0.29, EYE_V + 0.105, 0.13, 0.030)
  light *= 1 - 0.45 * pair(sheet, 0.062 * appearance.nose, 0.335, 0.036, 0.019)
  light *= 1 - 0.24 * blob(sheet, 0, 0.368, 0.12 * appearance.nose, 0.028)
  light *= 1 - 0.10 * np.exp(-((fold / 0.035) ** 2)) * rise(sheet.v, 0.28, 0.36) * rise(sheet.v, 0.62, 0.45)
  light *= 1 - 0.18 * blob(sheet, 0, 0.715, 0.17, 0.038)
  light *= 1 - 0.15 * rise(across / appearance.width, 0.70, 1.05)
  light *= 1 - 0.10 * rise(sheet.v, 0.75, 1.02)
  return light


def _skin(sheet: Canvas, appearance: Appearance, rng: np.random.Generator) -> np.ndarray:
  """Returns the colour of the skin, with eyebrows and beard, before lighting."""
  u, v = np.abs(sheet.u), sheet.v
  flush = pair(sheet, 0.43, 0.22, 0.20, 0.16) + 0.7 * blob(sheet, 0, 0.27, 0.10, 0.08)
  skin = plain(appearance.skin) * (1 - appearance.blush * flush * plain((0.00, 0.11, 0.10)))

  across = (u - 0.305) / 0.195
  arc = -0.325 - appearance.arch * (1 - across**2) + 0.012 * across
  thick = appearance.brow * (1 - 0.50 * rise(across, -0.1, 1.0))
  hairs = _noise(u * 60 + v * 40, v * 6, rng)
  brow = rise(np.abs(v - arc) / thick, 1.35, 0.45) * rise(np.abs(across), 1.06, 0.85)
  skin = mix(skin, plain(appearance.hair) * 0.70, np.clip(brow * (0.80 + 0.12 * hairs), 0, 1))

  stubble = plain(appearance.hair) * (0.85 + 0.10 * _noise(u * 70, v * 45, rng))
  clear = rise(np.hypot(u / 0.31, (v - MOUTH_V - 0.012) / 0.095), 0.95, 1.25)  # the lips
  cheek_line = 0.66 - 0.56 * (np.clip(u - 0.26, 0, 1) / 0.5) ** 1.3
  skin = mix(skin, stubble, 0.9 * appearance.beard * rise(v - cheek_line, -0.04, 0.10) * clear)
  nostrils = 0.405 + 0.30 * np.clip(u - 0.05, 0, 1) ** 1.5
  lip = rise(v - nostrils, 0.0, 0.04) * rise(v, 0.70, 0.58) * rise(u, 0.43, 0.30)
  return mix(
    skin, stubble, 0.9 * appearance.moustache * lip * clear * np.maximum(rise(v, 0.53, 0.49), rise(u, 0.26, 0.32))
  )


def _hair(sheet: Canvas, appearance: Appearance, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
  """Returns the colour of the hair, its coverage behind and in front of the face, and its shadow on the skin."""
  u, v, long = sheet.u, sheet.v, appearance.style == 'long'
  volume = {'shaved': 0.015, 'curly': 1.5 * appearance.volume}.get(appearance.style, appearance.volume)
  width, height = appearance.width + 0.7 * volume, _CROWN - 0.2 + volume
  part = float(rng.choice([-1, 1])) * rng.uniform(0.1, 0.3)
  above = np.minimum(v + 0.2, 0) / height
  radius = np.hypot(u / width, above)
  angle = np.arctan2(u, -(v + 0.2)).astype(np.float32)
  if appearance.style == 'curly':
    strands = 0.45 * _noise(u * 9, v * 9, rng) + 0.35 * _noise(u * 21, v * 21, rng)
    edge = 0.045 * _noise(angle * 6, 0 * angle, rng)
  else:  # combed to the sides, from a parting or from the middle
    flow = np.hypot((u - part * rise(-v, 0.0, 1.2)) / width, above)
    strands = 0.7 * _noise(flow * 38, angle * 2, rng) + 0.5 * _noise(flow * 85, angle * 3, rng)
    edge = (0.003 if long else 0.010) * _noise(angle * 9, 0 * angle, rng)

  cap = np.where(v < -0.2, radius, np.hypot(u / width, np.maximum(v + 0.2, 0) / 0.55))
  behind = inside(sheet, cap - 1 + edge, 0.02)
  if long:
    waist = width + 0.16 * rise(v, -0.3, 0.9) * (1 + 2 * volume) + 0.015 * np.sin(7 * v + part * 20)
    fall = inside(sheet, np.maximum(np.abs(u) - waist, v - 1.36 + 0.22 * u**2 + 0.012 * strands), 0.03) * (v > -0.2)
    neck = rise(np.abs(u), 0.34, 0.42) + rise(v, 0.85, 0.70)
    behind = np.maximum(behind, fall * np.clip(neck, 0, 1))

  line = appearance.hairline + (0.75 if long else 0.62) * np.abs(u / appearance.width) ** 3.4
  if appearance.style == 'swept':
    line = line + 0.16 * np.abs(u - part) * rise(u / copysign(1, part), part, -0.6)
  if appearance.style == 'fringe':
    line = np.maximum(-0.50 + 0.06 * np.abs(u) ** 2 + 0.02 * np.sin(9 * u + part * 30), line)
  soft = 0.11 if appearance.style == 'shaved' else 0.022
  before = behind * rise(v - line + 0.014 * strands, soft, -soft)
  shadow = 1 - 0.30 * rise(v - line, 0.10, -0.02) * (appearance.style != 'shaved')
  if appearance.style == 'shaved':
    before, behind = 0.55 * before, np.zeros_like(behind)

  side = rise(u * copysign(1, appearance.light[0]), -0.9, 0.7)
  glow = np.exp(-(((radius - 0.74 - 0.03 * strands) / 0.11) ** 2)) * side
  shine = (
    0.78 + 0.16 * strands + 0.20 * (side - 0.5) + 0.42 * glow - 0.35 * rise(cap, 0.85, 1.05) - 0.25 * rise(v, 0.1, 0.9)
  )
  return plain(appearance.hair) * np.clip(shine, 0.25, 1.6) + 0.055 * glow, behind, before, shadow


def _noise(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Draws smooth noise of about unit size that changes over a distance of one in `x` and `y`."""
  values = rng.standard_normal((64, 64)).astype(np.float32)
  return cv2.remap(
    values, x.astype(np.float32) % 64, y.astype(np.float32) % 64, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP
  )


def _put_on_glasses(sheet: Canvas, colour: np.ndarray) -> np.ndarray:
  u, v = np.abs(sheet.u), sheet.v
  ring = np.hypot((u - EYE_U) / 0.225, (v - EYE_V - 0.02) / 0.185)
  rim = rise(np.abs(ring - 1), 0.105, 0.030)
  bridge = rise(np.abs(v - EYE_V + 0.03 - 0.6 * u**2), 0.026, 0.012) * rise(u, 0.125, 0.105)
  temple = rise(np.abs(v - EYE_V + 0.02), 0.026, 0.012) * rise(u, 0.51, 0.55)
  colour = mix(colour, plain((0.85, 0.92, 1.0)), 0.06 * rise(ring, 1.0, 0.95))
  return mix(colour, plain((0.09, 0.08, 0.09)), 0.92 * np.clip(rim + bridge + temple, 0, 1))
