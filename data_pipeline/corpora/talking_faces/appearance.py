"""The appearance of a procedural speaker: a random draw of everything about a face that does not move.

Lengths are in face units: the origin lies between the eyes and the mouth, the chin at v = 1, u points right and v down.
"""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]  # sRGB, 0 to 1

_SKIN = [  # from fair to dark
  (0.92, 0.76, 0.67),
  (0.89, 0.70, 0.58),
  (0.80, 0.60, 0.46),
  (0.67, 0.47, 0.35),
  (0.53, 0.36, 0.26),
  (0.40, 0.27, 0.20),
]
_HAIR = [
  (0.09, 0.07, 0.07),
  (0.17, 0.11, 0.08),
  (0.30, 0.19, 0.12),
  (0.46, 0.29, 0.16),
  (0.76, 0.59, 0.35),
  (0.52, 0.22, 0.10),
  (0.62, 0.61, 0.60),
]
_IRIS = [(0.30, 0.18, 0.10), (0.22, 0.13, 0.08), (0.38, 0.30, 0.16), (0.30, 0.45, 0.58), (0.33, 0.45, 0.36)]
_CLOTHES = [
  (0.20, 0.28, 0.40),
  (0.55, 0.20, 0.20),
  (0.25, 0.38, 0.32),
  (0.85, 0.83, 0.79),
  (0.30, 0.27, 0.33),
  (0.72, 0.52, 0.22),
]
_WALLS = [
  (0.62, 0.69, 0.72),
  (0.78, 0.72, 0.64),
  (0.50, 0.57, 0.52),
  (0.42, 0.46, 0.56),
  (0.72, 0.62, 0.60),
  (0.83, 0.84, 0.84),
]

HAIR_STYLES = ('shaved', 'short', 'swept', 'fringe', 'long', 'curly')


@dataclass(frozen=True)
class Appearance:
  """A face at rest, and the room around it.

  Attributes:
    skin, hair, iris, lips, clothes, wall: colours.
    width: half the width of the face at the cheekbones.
    jaw: how much narrower the jaw is than the cheekbones, 0 to 1.
    chin: how square the face is; the exponent of its outline.
    style: one of HAIR_STYLES.
    hairline: height of the hairline (negative: above the origin).
    volume: thickness of the hair.
    beard, moustache: density, 0 to 1.
    glasses: whether glasses are worn.
    brow: thickness of the eyebrows.
    arch: how far the eyebrows curve.
    eye: size of the eyes, relative.
    lid: how far the eyes are open at rest, 0 to 1.
    nose: width of the nose, relative.
    lip_upper, lip_lower: thickness of the lips at rest.
    mouth: half the width of the mouth at rest.
    smile: how far the corners of the mouth are raised.
    blush: redness of cheeks and nose, 0 to 1.
    light: direction towards the key light, a unit vector (right, down, towards the camera).
    contrast: strength of the key light, 0 to 1.
    texture: seed of hair strands and the like.
  """

  skin: Colour
  hair: Colour
  iris: Colour
  lips: Colour
  clothes: Colour
  wall: Colour
  width: float
  jaw: float
  chin: float
  style: str
  hairline: float
  volume: float
  beard: float
  moustache: float
  glasses: bool
  brow: float
  arch: float
  eye: float
  lid: float
  nose: float
  lip_upper: float
  lip_lower: float
  mouth: float
  smile: float
  blush: float
  light: tuple[float, float, float]
  contrast: float
  texture: int


def draw_appearance(rng: np.random.Generator) -> Appearance:
  """Draws a random face in a random room."""
  tone = rng.uniform(0, len(_SKIN) - 1)
  skin = _vary(rng, _between(_SKIN, tone), 0.02)
  dark_hair_only = tone > 2.7
  hair = _vary(rng, _HAIR[rng.choice(3 if dark_hair_only else len(_HAIR))], 0.03)
  bearded = rng.random() < 0.28
  side = rng.choice([-1, 1])
  light = np.array([side * rng.uniform(0.15, 0.75), -rng.uniform(0.25, 0.6), 0.9])
  return Appearance(
    skin=skin,
    hair=hair,
    iris=_vary(rng, _IRIS[rng.choice(2 if dark_hair_only else len(_IRIS))], 0.03),
    lips=_lip_colour(rng, skin),
    clothes=_vary(rng, _CLOTHES[rng.choice(len(_CLOTHES))], 0.05),
    wall=_vary(rng, _WALLS[rng.choice(len(_WALLS))], 0.025),
    width=rng.uniform(0.70, 0.80),
    jaw=rng.uniform(0.02, 0.17),
    chin=rng.uniform(2.2, 2.9),
    style=str(rng.choice(HAIR_STYLES)),
    hairline=rng.uniform(-0.80, -0.66),
    volume=rng.uniform(0.10, 0.20),
    beard=rng.uniform(0.35, 0.9) if bearded else 0.0,
    moustache=rng.uniform(0.35, 0.9) if bearded and rng.random() < 0.8 else 0.0,
    glasses=bool(rng.random() < 0.18),
    brow=rng.uniform(0.028, 0.050),
    arch=rng.uniform(0.02, 0.07),
    eye=rng.uniform(1.0, 1.18),
    lid=rng.uniform(0.75, 1.0),
    nose=rng.uniform(0.85, 1.2),
    lip_upper=rng.uniform(0.050, 0.080),
    lip_lower=rng.uniform(0.070, 0.105),
    mouth=rng.uniform(0.25, 0.30),
    smile=rng.uniform(0.012, 0.05),
    blush=rng.uniform(0.2, 1.0),
    light=_triple(light / np.linalg.norm(light)),
    contrast=rng.uniform(0.45, 0.8),
    texture=int(rng.integers(2**31)),
  )


def _between(colours: list[Colour], position: float) -> np.ndarray:
  table = np.array(colours)
  return np.array([np.interp(position, np.arange(len(table)), column) for column in table.T])


def _vary(rng: np.random.Generator, colour: np.ndarray | Colour, spread: float) -> Colour:
  """Returns the colour a little lighter or darker and warmer or cooler, in proportion to its brightness."""
  varied = np.asarray(colour) * (1 + 2 * rng.normal(0, spread) + rng.normal(0, spread, 3))
  return _triple(np.clip(varied, 0.03, 0.97))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
  first, second, third = values.tolist()
  return first, second, third


def _lip_colour(rng: np.random.Generator, skin: Colour) -> Colour:
  """Returns the colour of skin turned towards red: from barely tinted to made up."""
  red = np.array([0.72, 0.24, 0.26]) * (0.45 + 0.65 * skin[0])
  return _vary(rng, np.asarray(skin) * 0.92 + (red - np.asarray(skin) * 0.92) * rng.uniform(0.45, 0.8), 0.015)
