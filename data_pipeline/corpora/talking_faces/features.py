"""Paints the moving features of a face: the mouth, between two curves that part, and the eyes, which blink."""

from dataclasses import dataclass
from math import copysign
from typing import NamedTuple

import numpy as np

from data_pipeline.corpora.talking_faces.appearance import Appearance
from data_pipeline.corpora.talking_faces.canvas import Canvas, mix, plain, rise
from data_pipeline.corpora.talking_faces.portrait import EYE_U, EYE_V, MOUTH_V

MOUTH_REGION = (-0.43, 0.37, 0.43, 0.99)  # left, top, right, bottom, face units
EYE_REGION = (EYE_U - 0.21, EYE_V - 0.15, EYE_U + 0.21, EYE_V + 0.13)

MAX_GAP = 0.30  # face units between the inner lips of a fully open mouth
LOWER_SHARE = 0.78  # share of the opening by which the lower lip moves; the upper lip moves by the rest
_CHIN_SHARE = 0.62  # share of the lower lip's movement that reaches the chin; the skin between them stretches
_TEETH = 0.095  # face units, the height of the upper teeth


@dataclass(frozen=True)
class Lips:
  """The pose of the mouth in one frame; see `articulation.Articulation` for the ranges."""

  opening: float
  press: float
  width: float
  teeth: float
  tongue: float


def jaw_weight(sheet: Canvas) -> np.ndarray:
  """Returns the share of the jaw's movement that each point of the skin makes, (H, W) in [0, 1]."""
  down = rise(sheet.v, MOUTH_V - 0.06, MOUTH_V + 0.22)
  return (down * (1 - 0.55 * rise(np.abs(sheet.u), 0.25, 0.85))).astype(np.float32)


def jaw_drop(opening: float) -> float:
  """Returns the downward movement of the chin, in face units."""
  return _CHIN_SHARE * LOWER_SHARE * MAX_GAP * opening


def paint_mouth(skin: np.ndarray, sheet: Canvas, appearance: Appearance, light: np.ndarray, lips: Lips) -> np.ndarray:
  """Returns the skin of `MOUTH_REGION` with a mouth on it.

  Args:
    skin: (3, H, W) float32 in [0, 1].
    sheet: the canvas of the region.
    appearance: the face.
    light: (3, H, W), brightness of the skin there.
    lips: the pose of the mouth.
  """
  v, pixel, curves = sheet.v, 1 / sheet.density, _lip_curves(sheet.u, appearance, lips)
  from_corner = np.abs(sheet.u) - curves.half
  gap = curves.lower_inner - curves.upper_inner
  lip = _between(v, curves.upper_outer, curves.lower_outer, 1.6 * pixel) * rise(curves.body, 0.0, 0.12)
  hole = _between(v, curves.upper_inner, curves.lower_inner, pixel) * rise(gap, 0.0, 1.2 * pixel)

  shadow = np.exp(-(((v - curves.lower_outer - 0.030) / 0.035) ** 2)) * curves.body
  mouth = mix(skin * (1 - 0.20 * shadow), _lip_colour(v, appearance, light, curves), 0.92 * lip)
  mouth = mix(mouth, _inside_of_mouth(sheet, appearance, light, lips, curves), hole)
  seam = np.exp(-(((v - curves.middle) / (0.011 + 0.4 * pixel)) ** 2)) * rise(from_corner, 0.025, -0.005)
  corner = np.exp(-(((from_corner - 0.015) / 0.028) ** 2) - ((v - curves.middle) / 0.030) ** 2)
  dark = plain(appearance.lips) * 0.34
  return mix(mix(mouth, dark, 0.75 * seam * rise(gap, 0.03, 0.0)), dark, 0.35 * corner)


def paint_eye(
  skin: np.ndarray, sheet: Canvas, appearance: Appearance, light: np.ndarray, openness: float, gaze: float
) -> np.ndarray:
  """Returns the skin around one eye with the eye on it.

  Args:
    skin: (3, H, W) float32 in [0, 1].
    sheet: the canvas of the region, mirrored for the left eye so that u grows outwards.
    appearance: the face.
    light: (3, H, W), brightness of the skin there.
    openness: 0 is shut, 1 as open as at rest.
    gaze: offset of the iris along u, face units.
  """
  pixel = 1 / sheet.density
  x = (sheet.u - EYE_U) / (0.148 * appearance.eye)
  y = sheet.v - EYE_V + 0.012 * x  # the outer corner is a little higher
  arch = np.clip(1 - x**2, 0, 1)
  lower = 0.045 * appearance.eye * arch**0.9
  upper = lower - (0.128 * appearance.eye * appearance.lid) * openness * arch ** (0.62 + 0.10 * (x > 0))
  white = _between(y, upper, lower, pixel) * rise(lower - upper, 0.0, 1.5 * pixel)

  radius = np.hypot(sheet.u - EYE_U - gaze + 0.008, (y + 0.016) * 1.02)
  iris_radius = 0.067 * appearance.eye
  ball = plain((0.93, 0.91, 0.89)) * (1.0 - 0.22 * np.abs(x) ** 2) * np.clip(light, 0.5, 1.08)
  ring = 0.70 + 0.55 * rise(radius / iris_radius, 0.35, 0.75) - 0.75 * rise(radius / iris_radius, 0.75, 1.0)
  ball = mix(ball, plain(appearance.iris) * ring, rise(radius - iris_radius, pixel, -pixel))
  ball = mix(ball, plain((0.03, 0.03, 0.03)), rise(radius - 0.030 * appearance.eye, pixel, -pixel))
  ball = ball * (1 - 0.45 * rise(y - upper, 0.045, 0.0))
  side = 0.024 * copysign(1, appearance.light[0]) * copysign(1, sheet.u[0, -1] - sheet.u[0, 0])
  glint = np.hypot(sheet.u - EYE_U - gaze - side, y + 0.040)
  ball = mix(ball, plain((1.0, 1.0, 1.0)), 0.9 * rise(glint, 0.020, 0.008))

  crease = np.exp(-(((y - (lower - 0.165 * appearance.eye * arch**0.55)) / 0.014) ** 2)) * rise(arch, 0.05, 0.4)
  lid_line = np.exp(-(((y - lower - 0.010) / 0.012) ** 2)) * rise(arch, 0.0, 0.3)
  skin = skin * (1 - 0.22 * crease - 0.14 * lid_line)
  skin = mix(skin, ball, white)
  lash = np.exp(-(((y - upper + 0.004) / (0.011 + 0.004 * x)) ** 2)) * rise(1.05 - np.abs(x), 0, 0.15)
  return mix(skin, plain(appearance.hair) * 0.3, 0.85 * lash)


class _Curves(NamedTuple):
  """The outlines of the lips: heights (H, W) for every u, half the width of the opening, and the arc of both lips."""

  half: float
  middle: np.ndarray
  upper_outer: np.ndarray
  upper_inner: np.ndarray
  lower_inner: np.ndarray
  lower_outer: np.ndarray
  body: np.ndarray


def _lip_curves(u: np.ndarray, appearance: Appearance, lips: Lips) -> _Curves:
  """Returns the outlines: spreading widens and thins the lips, rounding does the opposite, pressing rolls them in."""
  spread, rounding = max(lips.width, 0.0), max(-lips.width, 0.0)
  half = appearance.mouth * (1 + 0.12 * spread - 0.28 * rounding)
  middle = MOUTH_V - appearance.smile * (np.abs(u) / appearance.mouth) ** 2
  gap = MAX_GAP * lips.opening * np.clip(1 - (u / half) ** 2, 0, 1) ** (0.80 - 0.25 * rounding)
  upper_inner, lower_inner = middle - (1 - LOWER_SHARE) * gap, middle + LOWER_SHARE * gap

  full = (1 + 0.30 * rounding - 0.12 * spread) * (1 - 0.55 * lips.press)
  body = np.clip(1 - (u / (half + 0.035)) ** 2, 0, 1)
  bow = 1 - 0.22 * np.exp(-((u / 0.040) ** 2)) + 0.10 * np.exp(-(((np.abs(u) - 0.075) / 0.05) ** 2))
  upper_outer = upper_inner - appearance.lip_upper * full * bow * body**0.75
  lower_outer = lower_inner + appearance.lip_lower * full * body**0.60
  return _Curves(half, middle, upper_outer, upper_inner, lower_inner, lower_outer, body)


def _lip_colour(v: np.ndarray, appearance: Appearance, light: np.ndarray, curves: _Curves) -> np.ndarray:
  """Returns the colour of the lips: the upper one faces down and is darker, the lower one faces up and shines."""
  upper = _share(v, curves.upper_outer, curves.upper_inner)
  lower = _share(v, curves.lower_inner, curves.lower_outer)
  above = v < 0.5 * (curves.upper_inner + curves.lower_inner)
  tone = np.where(above, 0.86 - 0.34 * upper, 1.06 - 0.30 * lower**2 - 0.18 * (1 - lower) ** 4)
  shine = np.where(above, 0, np.exp(-(((lower - 0.38) / 0.20) ** 2)))
  return plain(appearance.lips) * (tone * light) + 0.09 * shine


def _inside_of_mouth(
  sheet: Canvas, appearance: Appearance, light: np.ndarray, lips: Lips, curves: _Curves
) -> np.ndarray:
  """Returns a cavity with the tongue at its bottom and a row of teeth behind each lip, (3, H, W).

  Brightness and the height of the upper teeth follow some 60 filmed people: their cavities are a third as bright as
  their cheeks, not black, and their teeth no brighter than their cheeks.
  """
  v, pixel, across = sheet.v, 1 / sheet.density, np.abs(sheet.u) / curves.half
  depth = _share(v, curves.upper_inner, curves.lower_inner)
  exposure = light * (0.45 + 0.55 * np.mean(appearance.skin) / 0.72)  # mouths darken with the skin, half as much
  inner = plain((0.36, 0.15, 0.15)) * exposure * (0.45 + 0.75 * depth)

  bulge = np.clip(1 - (across / 0.78) ** 2, 0, 1)
  top = curves.lower_inner - (0.10 + 0.09 * lips.tongue) * max(lips.opening, 0.2) + 0.07 * (1 - bulge)
  tongue = rise(v - top, -0.01, 0.04) * rise(bulge, 0, 0.25) * (0.35 + 0.65 * lips.tongue)
  inner = mix(inner, plain((0.72, 0.39, 0.39)) * exposure * (0.65 + 0.35 * depth), 0.85 * tongue)

  clefts = 1 - 0.10 * np.exp(-(((np.mod(sheet.u + 0.5, 0.066) - 0.033) / 0.006) ** 2))
  enamel = plain((0.73, 0.67, 0.60)) * exposure * ((1 - 0.60 * across**2) * clefts)
  edge = curves.upper_inner + _TEETH * lips.teeth**0.5 * (1 - 0.25 * across**2)
  teeth = rise(v - edge, pixel, -pixel) * rise(across, 0.95, 0.75) * min(4 * lips.teeth, 1.0)
  inner = mix(inner, enamel * (0.50 + 0.50 * rise(v - curves.upper_inner, 0, 0.07)), 0.95 * teeth)
  edge = curves.lower_inner - 0.040 * lips.teeth
  teeth = rise(v - edge, -pixel, pixel) * rise(across, 0.80, 0.60) * max(2 * lips.teeth - 1.0, 0.0)
  return mix(inner, enamel * 0.80, 0.8 * teeth)


def _share(v: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
  """Returns the position between two curves, from 0 at `start` to 1 at `end`."""
  return np.clip((v - start) / np.maximum(end - start, 1e-3), 0, 1)


def _between(v: np.ndarray, above: np.ndarray, below: np.ndarray, soft: float) -> np.ndarray:
  """Returns the antialiased coverage of the region under one curve and over another."""
  return np.clip((v - above) / soft + 0.5, 0, 1) * np.clip((below - v) / soft + 0.5, 0, 1)
