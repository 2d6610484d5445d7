"""Evidence that the lips of a film say what is heard in it, frame by frame: from pixels, and from a sync expert.

A chin goes down where speech becomes louder or more open, and the mouth grows darker; lips move more where more is
said. Each sign is weak, and a sync expert that was trained on drawn faces knows little of filmed ones; the sum of all
tells people apart within two or three seconds. Films may be out of sync by some frames: each lag has its own sum.

The weights were fitted to pairs of 14 filmed people, of whom one is heard, and both talk.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from scipy.fft import dct
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from lpips_jax.audio import phones
from lpips_jax.audio.condition import CONDITIONS, level_of, speech_of
from lpips_jax.audio.loudness import NORMALISED, mel_of
from lpips_jax.core.constants import FRAME_RATE, MEL_HOP, MEL_RATE, SAMPLE_RATE, WINDOW_FRAMES
from lpips_jax.faces import mouth
from lpips_jax.faces.pose import UNMOVED, in_pose, pose_between

if TYPE_CHECKING:
  from lpips_jax.pretrained import Pretrained

CROP_SIDE = 96  # pixels of the crops that are compared
LAGS = -1, 0, 1, 2, 3  # frames by which the sound of a mouth may be late
NEIGHBOURHOOD = 77  # frames within which signs are normalised
MAX_DEVIATION = 4.0  # standard deviations times standard deviations, of one frame
FLOOR = 0.3  # of the standard deviation of a whole curve, below which that of a neighbourhood counts as noise
SCALE = 0.06  # from the sum of all weighted signs to the logarithm of odds, of one frame
EXPERT_WEIGHT = 15.0
FAR_SHIFTS = tuple(shift for shift in range(-10, 11) if abs(shift) > 3)  # frames: sound that cannot be a face's own
STILL_WEIGHT = 0.12  # of the logarithm of how much lips move, beside how much they do otherwise
# Pairs of a sign of the mouth and one of the sound, and the weight of their product.
SIGNS = (
  ('chin', 'opening', 3.5),
  ('darkness', 'rise', 3.0),
  ('spread', 'phones', 2.0),
  ('energy', 'level', 1.5),
  ('energy', 'change', 2.0),
)
# How far the lips are open for each phone, from -0.12 in silence to 1.
OPENINGS = {
  '': -0.12, 'AA': 1.0, 'AE': 1.0, 'AH': 0.55, 'AO': 0.5, 'AW': 1.0, 'AY': 1.0, 'B': -0.12, 'CH': 0.35, 'D': 0.28,
  'DH': 0.28, 'EH': 0.78, 'ER': 0.55, 'EY': 0.78, 'F': 0.1, 'G': 0.38, 'HH': 0.55, 'IH': 0.45, 'IY': 0.45, 'JH': 0.35,
  'K': 0.4, 'L': 0.22, 'M': -0.12, 'N': 0.3, 'NG': 0.3, 'OW': 0.5, 'OY': 0.5, 'P': -0.12, 'R': 0.2, 'S': 0.25,
  'SH': 0.35, 'T': 0.28, 'TH': 0.28, 'UH': 0.22, 'UW': 0.22, 'V': 0.08, 'W': 0.06, 'Y': 0.45, 'Z': 0.22, 'ZH': 0.35,
}  # fmt: skip
OPENING_SPREAD, LEVEL_SPREAD = 0.35, 1.5  # usual standard deviations of openings, and of levels of a mel
CURVE_SMOOTHING = 0.04  # seconds, of the curves of the sound
VOICE_SMOOTHING = 0.1  # seconds, of cepstra
CEPSTRA = 19  # coefficients after the first, which is loudness
SPOKEN_RANGE = 2.2  # of a mel's mean: quieter moments do not count as speech
_MEL_ROWS, _STEPS = MEL_RATE // 5, FRAME_RATE // 5  # rows of a mel spectrogram in so many frames


class HeardFilm(NamedTuple):
  """The sound of a film at each of its n steps, 25 a second.

  Attributes:
    curves: for each of `LAGS`, by the names in `SIGNS`, (n,) normalised.
    voice: (n, 19) cepstra, normalised, which tell voices apart.
    spoken: (n,) bool, where there is speech.
    features: (m, 80), 80 rows a second, as the sync expert hears it; None without one.
  """

  curves: list[dict[str, np.ndarray]]
  voice: np.ndarray
  spoken: np.ndarray
  features: np.ndarray | None


class SeenLips(NamedTuple):
  """The lips of one person in successive steps of a film.

  Attributes:
    first: the number of the first step.
    motion: by the names in `SIGNS`, (t,).
    embeddings: a sync expert's, of the faces and of the sound, (t, d) each; None without one.
  """

  first: int
  motion: dict[str, np.ndarray]
  embeddings: tuple[np.ndarray, np.ndarray] | None


def hear(samples: np.ndarray, steps: int, expert: 'Pretrained | None') -> HeardFilm:
  """Measures the sound of a film.

  Args:
    samples: (S,) float in [-1, 1] at 16 kHz, S >= 1, from the first frame on.
    steps: n, 25 a second.
    expert: a sync expert from `pretrained.load_expert`, or None.
  """
  samples = np.pad(samples, (0, max(0, steps * SAMPLE_RATE // FRAME_RATE + MEL_HOP - len(samples))))
  heard, mel = phones.recognise_phones(samples), mel_of(samples, NORMALISED)
  opening, level = np.array([OPENINGS[phone] for phone in phones.PHONES])[heard], mel.mean(1)
  spoken = _at_steps(level, steps)
  voice = _at_steps(gaussian_filter1d(dct(mel, norm='ortho')[:, 1 : 1 + CEPSTRA], VOICE_SMOOTHING * MEL_RATE, 0), steps)
  spoken = spoken > np.percentile(spoken, 95) - SPOKEN_RANGE
  voice = (voice - voice[spoken].mean(0)) / (voice[spoken].std(0) + 1e-6)
  features = None
  if expert is not None:
    of_expert = mel_of(samples, level_of(expert.config.model, expert.config.data))
    features = CONDITIONS[speech_of(expert.config.model)].track(heard, of_expert)[:]
  return HeardFilm([_curves(opening, level, steps, lag) for lag in LAGS], voice, spoken, features)


def see(crops: np.ndarray, first: int, heard: HeardFilm, expert: 'Pretrained | None') -> SeenLips:
  """Measures the lips of one person.

  Args:
    crops: (t, 96, 96, 3) uint8 of successive steps.
    first: the number of the first step.
    heard: the sound of the film.
    expert: the one that `heard` was made for.
  """
  motion = _motion(crops)
  if expert is None or heard.features is None or len(crops) < WINDOW_FRAMES:
    return SeenLips(first, motion, None)
  from lpips_jax.pretrained.batches import at_size, embeddings  # JAX takes seconds to import

  size = expert.config.model.image_size
  rows = first * _MEL_ROWS // _STEPS
  of_crops = heard.features[rows : rows + (len(crops) + WINDOW_FRAMES) * _MEL_ROWS // _STEPS + 1]
  both = embeddings(expert, at_size(crops, size), of_crops)
  faces, sound = (np.pad(each, ((0, WINDOW_FRAMES - 1), (0, 0)), mode='edge') for each in both)
  return SeenLips(first, motion, (faces, sound))


def evidence(person: Sequence[SeenLips], heard: HeardFilm, steps: int) -> np.ndarray:
  """Returns the evidence that a person says what is heard, as logarithms of odds, (lags, n); NaN out of sight.

  Args:
    person: all that has been seen of their lips.
    heard: the sound of the film.
    steps: n.
  """
  found = np.full((len(LAGS), steps), np.nan)
  sound = _sound_embeddings(person, steps)
  for seen in person:
    part = slice(seen.first, seen.first + len(seen.motion['chin']))
    for number, curves in enumerate(heard.curves):
      products = [
        weight * np.clip(_normalised(seen.motion[of_mouth]) * curves[of_sound][part], -MAX_DEVIATION, MAX_DEVIATION)
        for of_mouth, of_sound, weight in SIGNS
      ]
      found[number, part] = np.sum(products, axis=0)
    if seen.embeddings is not None:
      found[:, part] += EXPERT_WEIGHT * _margins(seen.embeddings[0], sound, seen.first)
  return SCALE * found


def stillness(people: Sequence[Sequence[SeenLips]], steps: int) -> np.ndarray:
  """Returns evidence against people whose lips rest, (people, n) logarithms of odds, 0 and less; 0 out of sight."""
  moving = np.full((len(people), steps), np.nan)
  for person, place in zip(people, moving, strict=True):
    for seen in person:
      chin, spread = mouth.CHIN_WEIGHT * seen.motion['chin'], mouth.LIP_WEIGHT * seen.motion['spread']
      amount = np.abs(chin) + np.abs(spread)
      place[seen.first : seen.first + len(amount)] = gaussian_filter1d(amount, 8)
  usual = np.nanpercentile(moving, 80, axis=1)
  usual = np.maximum(usual, np.median(usual) / 2)[:, None] + 1e-9
  return STILL_WEIGHT * np.nan_to_num(np.clip(np.log(moving / usual + 0.05), -2, 0))


def _curves(opening: np.ndarray, level: np.ndarray, steps: int, lag: int) -> dict[str, np.ndarray]:
  open_at, level_at = (
    _at_steps(gaussian_filter1d(curve, CURVE_SMOOTHING * MEL_RATE), steps, lag) for curve in (opening, level)
  )
  rise, phone_rise = np.gradient(level_at), np.gradient(open_at)
  curves = {
    'level': level_at,
    'rise': rise,
    'change': gaussian_filter1d(np.abs(rise), 1),
    'phones': phone_rise,
    'opening': phone_rise / OPENING_SPREAD + rise / LEVEL_SPREAD,
  }
  return {name: _normalised(curve) for name, curve in curves.items()}


def _at_steps(rows: np.ndarray, steps: int, lag: int = 0) -> np.ndarray:
  """Samples (m,) or (m, c), 80 rows a second, in the middle of each step, or `lag` steps later."""
  places = (np.arange(steps) + 0.5 + lag) * MEL_RATE / FRAME_RATE
  columns = rows.reshape(len(rows), -1).T
  sampled = np.stack([np.interp(places, np.arange(len(rows)), column) for column in columns], axis=1)
  return sampled.reshape(steps, *rows.shape[1:])


def _motion(crops: np.ndarray) -> dict[str, np.ndarray]:
  """Measures how lips move, (t,) each; a head that moves is first brought to one pose."""
  steady = _steadied(crops)
  signs, unsteadied = mouth.signs(steady), mouth.signs(crops)
  grey = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in steady]).astype(np.float32)
  top, bottom, left, right = (round(share * CROP_SIDE) for share in (*mouth.MOUTH_ROWS, 0.25, 0.75))
  mouths = np.stack([cv2.GaussianBlur(each, (0, 0), 1) for each in grey[:, top:bottom, left:right]])
  energy = np.abs(np.diff(mouths, axis=0)).mean((1, 2)) if len(crops) > 1 else np.zeros(1)
  return {
    'chin': _velocity(signs.chin_drop),
    'darkness': _velocity(-unsteadied.brightness),
    'spread': _velocity(signs.lip_spread),
    'energy': gaussian_filter1d(np.log(np.append(energy[:1], energy)[: len(crops)] + 0.3), 1),
  }


def _steadied(crops: np.ndarray) -> np.ndarray:
  """Brings all crops to the pose of the one in the middle."""
  reference, pose = crops[len(crops) // 2], UNMOVED
  steady = []
  for crop in crops:
    pose = pose_between(crop, reference, pose)
    back = cv2.invertAffineTransform(pose)
    steady.append(in_pose(crop, back, len(crop)))
  return np.stack(steady)


def _velocity(curve: np.ndarray) -> np.ndarray:
  return np.gradient(gaussian_filter1d(curve.astype(np.float64), 0.7)) if len(curve) > 1 else np.zeros(len(curve))


def _normalised(curve: np.ndarray) -> np.ndarray:
  """Returns a curve less its mean in the neighbourhood, over the standard deviation there."""
  mean = uniform_filter1d(curve, NEIGHBOURHOOD, mode='nearest')
  variance = uniform_filter1d(curve**2, NEIGHBOURHOOD, mode='nearest') - mean**2
  return (curve - mean) / np.sqrt(np.maximum(variance, 0) + (FLOOR * curve.std() + 1e-6) ** 2)


def _sound_embeddings(person: Sequence[SeenLips], steps: int) -> np.ndarray:
  """Returns the embeddings of the sound at all steps, (n, d); zeros where the person was not seen."""
  known = [(seen.first, seen.embeddings[1]) for seen in person if seen.embeddings is not None]
  sound = np.zeros((steps, known[0][1].shape[1] if known else 0))
  for first, embeddings in known:
    sound[first : first + len(embeddings)] = embeddings
  return sound


def _margins(faces: np.ndarray, sound: np.ndarray, first: int) -> np.ndarray:
  """Returns by how much faces fit the sound at each of `LAGS` better than sound that cannot be theirs, (lags, t).

  Args:
    faces: (t, d) embeddings.
    sound: (n, d) embeddings of the whole film.
    first: the step of the first face.
  """
  reach = max(map(abs, FAR_SHIFTS))
  padded = np.pad(sound, ((reach, reach), (0, 0)))

  def likeness(shift: int) -> np.ndarray:
    begin = reach + first + shift
    return np.einsum('td,td->t', faces, padded[begin : begin + len(faces)])

  return np.stack([likeness(lag) for lag in LAGS]) - np.mean([likeness(shift) for shift in FAR_SHIFTS], axis=0)
