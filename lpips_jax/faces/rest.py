"""A mouth at rest: the reference that tells a generator whose mouth it makes, and nothing of when it opens.

The very frame that is dubbed, which Wav2Lip shows its generator, tells both, and the dubbed mouth follows the filmed
one. Training, evaluation and dubbing all choose and turn their references here.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from lpips_jax.faces.mouth import MOUTH_COLUMNS, MOUTH_ROWS, least_open, mouth_opening
from lpips_jax.faces.pose import SEEN, UNMOVED, in_pose, likeness, pose_between

SURELY_SHUT = 0.2  # share of a clip's frames, the least open ones, from which training draws its references
CANDIDATES = 16  # frames, taken evenly from the least open ones, among which a dub finds its one reference
COMPARED = 8  # crops of a clip with which each candidate is compared
AS_ALIKE = 0.02  # mean likeness of the pose that the chosen one may lack
AS_USUAL = 0.1  # likeness of the mouth to other candidates' that it may lack
SHIFT = 0.05  # of the crop's side, by which mouths that are compared may lie apart


def shut_frames(crops: np.ndarray) -> np.ndarray:
  """Returns which crops of one person show the mouth most nearly shut, the most nearly shut first.

  Args:
    crops: (n, s, s, 3) uint8.

  Returns:
    At least one index, at most a fifth of them. Of somebody who never shuts their mouth they are the least open.
  """
  return least_open(mouth_opening(crops), SURELY_SHUT)


def rest_frame(crops: np.ndarray) -> int:
  """Returns which crop shows a person's mouth at rest best.

  Args:
    crops: (n, s, s, 3) uint8, of one person.

  Returns:
    The index of the most nearly shut mouth, among the sharper half of those that look like most others. A head that is
    turned away or bent far down shows another mouth, and seems to shut it; lips that are pressed together or pouted
    seem to be shut best of all, and are of no use to a generator that is to open them.
  """
  shut = least_open(mouth_opening(crops))
  candidates = shut[_evenly(len(shut), CANDIDATES)]
  others = crops[_evenly(len(crops), COMPARED)]
  alike = np.array([np.mean([likeness(other, crops[k]) for other in others]) for k in candidates])
  usual = _usualness(crops[candidates])
  close = alike >= alike.max() - AS_ALIKE
  close = candidates[close & (usual >= usual[close].max() - AS_USUAL)]
  sharpness = np.array([_sharpness(crops[k]) for k in close])
  return int(close[sharpness >= np.median(sharpness)][0])


def poses_of(crops: Sequence[np.ndarray], reference: np.ndarray) -> list[np.ndarray]:
  """Returns the pose of each crop, in order, against a reference: see `alignment.pose_between`."""
  poses, last = [], UNMOVED
  for crop in crops:
    last = pose_between(crop, reference, last)
    poses.append(last)
  return poses


def references_for(crops: np.ndarray, reference: np.ndarray) -> np.ndarray:
  """Returns the reference in the pose of each crop: (n, s, s, 3) and (r, r, 3) uint8 -> (n, s, s, 3) uint8."""
  return np.stack([in_pose(reference, pose, crops.shape[1]) for pose in poses_of(crops, reference)])


def _evenly(count: int, most: int) -> np.ndarray:
  """Returns `most` of the numbers from 0 to count - 1, evenly apart, or all of them if they are fewer."""
  return np.linspace(0, count - 1, min(count, most)).astype(int)


def _usualness(crops: np.ndarray) -> np.ndarray:
  """Returns how much each mouth looks like most others, (n,): the median of its correlations with theirs."""
  if len(crops) < 2:
    return np.ones(len(crops))
  side = crops.shape[1]
  top, bottom, left, right = (round(side * share) for share in (*MOUTH_ROWS, *MOUTH_COLUMNS))
  reach = round(side * SHIFT)
  grey = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops]
  mouths = [crop[top:bottom, left:right] for crop in grey]
  around = [crop[top - reach : bottom + reach, left - reach : right + reach] for crop in grey]  # or to the crop's end
  alike = np.array([[cv2.matchTemplate(x, y, cv2.TM_CCOEFF_NORMED).max() for x in around] for y in mouths])
  apart = ~np.eye(len(crops), dtype=bool)
  return np.median(alike[apart].reshape(len(crops), -1), axis=1)


def _sharpness(crop: np.ndarray) -> float:
  """Returns the variance of the Laplacian of a crop's upper part, which an open mouth does not change."""
  return cv2.Laplacian(cv2.cvtColor(crop[: round(SEEN * len(crop))], cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()
