"""A mouth at rest: the reference that tells a generator whose mouth it makes, and nothing of when it opens.

The very frame that is dubbed, which Wav2Lip shows its generator, tells both, and the dubbed mouth follows the filmed
one. Training, evaluation and dubbing all choose and turn their references here.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from lpips_jax.media.alignment import UNMOVED, in_pose, likeness, pose_between
from lpips_jax.media.mouth import mouth_opening

SHUT_SHARE = 0.2  # of a clip's frames, the least open ones, count as shut
CHOSEN_AMONG = 4  # of these, the most nearly shut
COMPARED = 8  # crops of a clip with which each of them is compared
AS_ALIKE = 0.02  # mean likeness that the chosen one may lack


def shut_frames(crops: np.ndarray) -> np.ndarray:
  """Returns which crops of one person show the mouth most nearly shut, the most nearly shut first.

  Args:
    crops: (n, s, s, 3) uint8.

  Returns:
    At least one index, at most a fifth of them. Of somebody who never shuts their mouth they are the least open.
  """
  openings = mouth_opening(crops)
  return np.argsort(openings, kind='stable')[: max(1, round(SHUT_SHARE * len(crops)))]


def rest_frame(crops: np.ndarray) -> int:
  """Returns which of the crops that `shut_frames` finds suits all of them best.

  Args:
    crops: (n, s, s, 3) uint8, of one person.

  Returns:
    Its index. It is sharp, and its pose is close to the others': a head bent far down shows another mouth.
  """
  shut = shut_frames(crops)
  others = crops[np.linspace(0, len(crops) - 1, min(len(crops), COMPARED)).astype(int)]
  alike = np.array([np.mean([likeness(other, crops[k]) for other in others]) for k in shut[:CHOSEN_AMONG]])
  close = shut[:CHOSEN_AMONG][alike >= alike.max() - AS_ALIKE]
  lower = slice(crops.shape[1] // 2, None)
  sharpness = [cv2.Laplacian(cv2.cvtColor(crops[k][lower], cv2.COLOR_RGB2GRAY), cv2.CV_64F).var() for k in close]
  return int(close[np.argmax(sharpness)])


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
