"""The opening of a mouth, measured from pixels alone: no landmarks, no training, no ground truth.

Three signs are added, because each of them fails on some faces. Between parted lips one sees darkness or teeth, but a
lit tongue is neither. Lips, which are redder than skin, move apart, but a beard may hide them. The chin goes down, but
it does so when the head nods, too.

On 100 clips of news readers, held out from every choice made here, the sum correlates by 0.65 with the openings that
MediaPipe's face mesh sees; darkness and teeth alone by 0.32.
"""

from typing import NamedTuple

import cv2
import numpy as np

# The part of a face crop (YuNet's box) that the inner mouth can reach, in fractions of the crop's height and width.
MOUTH_ROWS = 0.58, 0.97
MOUTH_COLUMNS = 0.32, 0.68
CHEEK_ROWS, CHEEK_COLUMNS = (0.30, 0.55), (0.2, 0.8)
# The chin, and the skin under the nose that it moves against. Each is searched for within its reach up and down, or as
# far as the crop goes: below the chin that is a third of the reach.
CHIN_ROWS, CHIN_REACH = (0.78, 0.97), 0.09
NOSE_ROWS, NOSE_REACH = (0.55, 0.72), 0.06
JAW_COLUMNS = 0.28, 0.72
GRAIN_BLUR = 0.011  # of the crop's height; removes film grain
SHUT_SHARE = 0.3  # of the frames, the least open ones: their median shows the mouth shut
# Shares of its brightness, or its saturation, that a pixel must lose to count as inner mouth a little, and wholly.
DARKENING = 0.3, 0.6
FADING = 0.1, 0.6
# Weights of the lips' spread and the chin's drop beside the share of inner mouth, so that all three vary about as much.
LIP_WEIGHT, CHIN_WEIGHT = 2.0, 4.0
_EPSILON = 0.02


class MouthSigns(NamedTuple):
  """The signs of an open mouth, (T,) each.

  Attributes:
    inner_share: the share of the mouth's region that is darkness or teeth, in [0, 1].
    lip_spread: how far apart the redder pixels lie, in heights of the region.
    chin_drop: how far the chin is below its usual place, beside the skin under the nose, in heights of the crop.
    brightness: of the mouth's region, in [0, 1].
  """

  inner_share: np.ndarray
  lip_spread: np.ndarray
  chin_drop: np.ndarray
  brightness: np.ndarray


def mouth_opening(frames: np.ndarray, beside: np.ndarray | None = None) -> np.ndarray:
  """Measures how far the mouth is open in every frame of a clip.

  Args:
    frames: (T, H, W, 3) RGB face crops of one clip; floats in [0, 1] or uint8.
    beside: (S, H, W, 3), other crops of the same face that show its mouth shut; by default `frames` themselves. A mouth
      that is never shut can only be recognised beside others.

  Returns:
    (T,) float32, about 0 where the mouth is shut, on an arbitrary scale: compare within a clip, or by correlation.
    Frames measured beside the same others compare with each other, and with the others measured alone.
  """
  measured = signs(frames, beside)
  opening = measured.inner_share + LIP_WEIGHT * measured.lip_spread + CHIN_WEIGHT * measured.chin_drop
  baseline = slice(0 if beside is None else len(frames), None)
  others = opening[baseline]
  return (opening - others[least_open(others)].mean())[: len(frames)].astype(np.float32)


def signs(frames: np.ndarray, beside: np.ndarray | None = None) -> MouthSigns:
  """Measures the signs of an open mouth in every frame of a clip, and then of the crops beside it.

  Takes the same as `mouth_opening`.
  """
  faces = np.concatenate([_channels_first(x) for x in (frames, beside) if x is not None], 1)
  baseline = slice(0 if beside is None else len(frames), None)
  mouth = _part(faces, MOUTH_ROWS, MOUTH_COLUMNS)
  cheeks = np.median(_part(faces[:, baseline], CHEEK_ROWS, CHEEK_COLUMNS).mean(0))
  jaw = np.stack([cv2.GaussianBlur(x, (0, 0), GRAIN_BLUR * len(x)) for x in _part(faces, (0, 1), JAW_COLUMNS).mean(0)])
  chin_drop = _moved_down(jaw, CHIN_ROWS, CHIN_REACH, baseline) - _moved_down(jaw, NOSE_ROWS, NOSE_REACH, baseline)
  return MouthSigns(_inner_share(mouth, cheeks, baseline), _lip_spread(mouth), chin_drop, mouth.mean((0, 2, 3)))


def least_open(opening: np.ndarray, share: float = SHUT_SHARE) -> np.ndarray:
  """Returns the indices of the smallest openings, (T,): this share of them, at least one, the smallest first."""
  return np.argsort(opening, kind='stable')[: max(1, round(share * len(opening)))]


def opening_correlation(frames: np.ndarray, truth: np.ndarray) -> float:
  """Returns Pearson's correlation of the measured opening with the true one.

  Args:
    frames: (T, H, W, 3) RGB face crops of one clip; floats in [0, 1] or uint8.
    truth: (T,) true opening, on any scale.

  Returns:
    The correlation in [-1, 1]; 0 where either is constant, as in a clip whose mouth never moves.
  """
  return correlation(mouth_opening(frames), truth)


def correlation(measured: np.ndarray, truth: np.ndarray) -> float:
  """Returns Pearson's correlation of two series, (T,) each; 0 where either is constant."""
  measured, truth = (np.asarray(x, np.float64) - np.mean(x, dtype=np.float64) for x in (measured, truth))
  scale = np.linalg.norm(measured) * np.linalg.norm(truth)
  return float(measured @ truth / scale) if scale > 1e-9 else 0.0


def _inner_share(mouth: np.ndarray, cheeks: float, baseline: slice) -> np.ndarray:
  """Returns the share of the mouth's region that is darkness or teeth, (T,) in [0, 1].

  Both differ from what the same pixels show when the mouth is shut, which is lips, skin or beard: darkness is much less
  bright, teeth are much less saturated.
  """
  brightness = mouth.mean(0)
  saturation = 1 - mouth.min(0) / (mouth.max(0) + _EPSILON)
  # The first guess needs no shut mouth to compare with: pixels much darker than the cheeks of the clip.
  share = _ramp(brightness / (cheeks + _EPSILON), DARKENING[0], 0).mean((1, 2))
  for _ in range(2):
    shut = baseline.start + least_open(share[baseline])
    darkened = _ramp(_loss(brightness, shut), *DARKENING)
    faded = _ramp(_loss(saturation, shut), *FADING)
    share = np.maximum(darkened, faded).mean((1, 2))
  return share


def _lip_spread(mouth: np.ndarray) -> np.ndarray:
  """Returns how far apart the redder pixels lie, (T,): their vertical standard deviation in heights of the region."""
  redness = mouth[0] - mouth[1]
  redder = np.maximum(redness - np.median(redness, (1, 2), keepdims=True), 0) + 1e-4
  weight = redder.sum(2) / redder.sum((1, 2))[:, None]
  row = np.linspace(0, 1, weight.shape[1], dtype=np.float32)
  return np.sqrt(np.maximum(weight @ row**2 - (weight @ row) ** 2, 0))


def _moved_down(strips: np.ndarray, rows: tuple[float, float], reach: float, baseline: slice) -> np.ndarray:
  """Returns how far the usual content of some rows has moved down, (T,), in heights of the strips, (T, H, W)."""
  height = strips.shape[1]
  top, bottom, margin = (round(share * height) for share in (*rows, reach))
  usual = np.median(strips[baseline, top:bottom], 0)
  searched = strips[:, top - margin : bottom + margin]
  found = np.array([_peak(cv2.matchTemplate(strip, usual, cv2.TM_CCOEFF_NORMED)[:, 0]) for strip in searched])
  return (found - np.median(found[baseline])) / height


def _peak(likeness: np.ndarray) -> float:
  """Returns where a curve is highest, to a fraction of a step: the top of the parabola through three points."""
  best = int(likeness.argmax())
  if not 0 < best < len(likeness) - 1:
    return best
  before, at, after = likeness[best - 1 : best + 2]
  return best + (before - after) / (2 * (before - 2 * at + after) - 1e-9)


def _channels_first(frames: np.ndarray) -> np.ndarray:
  """Returns (T, H, W, 3) as (3, T, H, W) float32 in [0, 1], which NumPy reduces faster."""
  planes = np.moveaxis(frames, -1, 0).astype(np.float32, order='C')
  return planes / 255 if frames.dtype == np.uint8 else planes


def _part(faces: np.ndarray, rows: tuple[float, float], columns: tuple[float, float]) -> np.ndarray:
  """Returns a part of all faces, (3, T, H, W) -> (3, T, h, w)."""
  height, width = faces.shape[2:]
  top, bottom = (round(share * height) for share in rows)
  left, right = (round(share * width) for share in columns)
  return faces[:, :, top:bottom, left:right]


def _loss(values: np.ndarray, shut: np.ndarray) -> np.ndarray:
  """Returns the share of its value at rest that each pixel has lost, (T, h, w)."""
  rest = np.median(values[shut], axis=0)
  return (rest - values) / (rest + _EPSILON)


def _ramp(values: np.ndarray, start: float, end: float) -> np.ndarray:
  return np.clip((values - start) / (end - start), 0, 1)
