"""References: a person's mouth at rest, which shows a generator whose mouth to draw, but not when it opens.

Wav2Lip shows its generator the very frame that it dubs. That frame shows both, so the dubbed mouth follows the filmed
one. Training, evaluation and dubbing all choose their references here, and bring them to the pose of each frame.
"""

from collections.abc import Iterable

import cv2
import numpy as np

from lpips_jax.faces.mouth import MOUTH_COLUMNS, MOUTH_ROWS, least_open, mouth_opening
from lpips_jax.faces.pose import UNMOVED, UPPER_PART, in_pose, likeness, pose_between

TRAINING_SHUT_SHARE = 0.2  # of a clip's frames, the least open ones: training draws its references from these
MAX_CANDIDATES = 16  # frames, spread evenly over the least open ones: a dub's one reference is chosen from these
MAX_COMPARED = 8  # crops of a clip with which each candidate is compared
LIKENESS_SLACK = 0.02  # below the best candidate's mean likeness to the compared crops
USUALNESS_SLACK = 0.1  # below the best candidate's likeness to the mouths of the others
MAX_MOUTH_SHIFT = 0.05  # of the crop's side, between two mouths that are compared


def shut_frames(crops: np.ndarray) -> np.ndarray:
  """Returns the indices of the crops of one person whose mouth is most nearly shut, the least open first.

  Args:
    crops: (n, s, s, 3) uint8.

  Returns:
    A fifth of all indices, at least one. If somebody never shuts their mouth, these are still the least open ones.
  """
  return least_open(mouth_opening(crops), TRAINING_SHUT_SHARE)


def rest_frame(crops: np.ndarray) -> int:
  """Returns the index of the crop that shows a person's mouth at rest best.

  Args:
    crops: (n, s, s, 3) uint8, of one person.

  Returns:
    The index of the least open mouth among the sharper half of the crops that look like most others. A head that is
    turned away or bent far down shows another mouth, and seems to shut it. Lips that are pressed together or pouted
    seem shut best of all, but are of no use to a generator that is to open them.
  """
  shut = least_open(mouth_opening(crops))
  candidates = shut[_evenly(len(shut), MAX_CANDIDATES)]
  others = crops[_evenly(len(crops), MAX_COMPARED)]
  alike = np.array([np.mean([likeness(other, crops[k]) for other in others]) for k in candidates])
  usual = _usualness(crops[candidates])
  close = alike >= alike.max() - LIKENESS_SLACK
  close = candidates[close & (usual >= usual[close].max() - USUALNESS_SLACK)]
  sharpness = np.array([_sharpness(crops[k]) for k in close])
  return int(close[sharpness >= np.median(sharpness)][0])


def poses_of(crops: Iterable[np.ndarray], reference: np.ndarray) -> list[np.ndarray]:
  """Returns the pose of each crop, in order, against a reference: see `pose.pose_between`."""
  poses, last = [], UNMOVED
  for crop in crops:
    last = pose_between(crop, reference, last)
    poses.append(last)
  return poses


def references_for(crops: np.ndarray, reference: np.ndarray) -> np.ndarray:
  """Returns the reference in the pose of each crop: (n, s, s, 3) and (r, r, 3) uint8 -> (n, s, s, 3) uint8."""
  return np.stack([in_pose(reference, pose, crops.shape[1]) for pose in poses_of(crops, reference)])


def _evenly(count: int, limit: int) -> np.ndarray:
  """Returns at most `limit` of the numbers from 0 to count - 1, evenly spaced."""
  return np.linspace(0, count - 1, min(count, limit)).astype(int)


def _usualness(crops: np.ndarray) -> np.ndarray:
  """Returns the median correlation of each mouth with the others, (n,)."""
  if len(crops) < 2:
    return np.ones(len(crops))
  side = crops.shape[1]
  top, bottom, left, right = (round(side * share) for share in (*MOUTH_ROWS, *MOUTH_COLUMNS))
  reach = round(side * MAX_MOUTH_SHIFT)
  grey = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops]
  mouths = [crop[top:bottom, left:right] for crop in grey]
  around = [crop[top - reach : bottom + reach, left - reach : right + reach] for crop in grey]  # clipped to the crop
  alike = np.array([[cv2.matchTemplate(x, y, cv2.TM_CCOEFF_NORMED).max() for x in around] for y in mouths])
  apart = ~np.eye(len(crops), dtype=bool)
  return np.median(alike[apart].reshape(len(crops), -1), axis=1)


def _sharpness(crop: np.ndarray) -> float:
  """Returns the variance of the Laplacian of a crop's upper part, which an open mouth does not change."""
  return cv2.Laplacian(cv2.cvtColor(crop[: round(UPPER_PART * len(crop))], cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()
