"""Shot detection: the frames at which the picture cuts."""

from collections.abc import Sequence

import cv2
import numpy as np

THUMBNAIL = 32, 18  # pixels: what is left at this size is the composition of the picture
MIN_CUT_CHANGE = 0.12  # one minus the correlation of the two frames of a cut
MAX_CHANGE = 2.0  # from a picture to its negative
MIN_CUT_RATIO = 4.0  # of a cut to the median change around it: a moving camera changes the picture, too
CONTEXT_FRAMES = 3  # before and after a frame, for that median
MIN_SPREAD = 5.0  # standard deviation of the grey levels; below it a frame is blank: black, or a flash


class ChangeMeter:
  """Measures how much each frame differs from the one before.

  The measure is one minus the correlation of two thumbnails, from 0 (alike) to 2. It is blind to brightness and
  contrast, so neither a flash nor a fade counts as a cut. Blank frames are skipped.
  """

  def __init__(self) -> None:
    self._last: np.ndarray | None = None

  def __call__(self, frame: np.ndarray) -> float:
    """Returns the change from the last frame to this one, (H, W, 3) uint8 RGB or (H, W) grey; 0 for the first."""
    small = cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA)
    grey = (cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if small.ndim == 3 else small).ravel()
    spread = float(grey.std())
    if spread < MIN_SPREAD:
      return 0.0
    now = (grey - grey.mean()) / (spread * np.sqrt(grey.size))
    change = 0.0 if self._last is None else 1.0 - float(now @ self._last)
    self._last = now
    return change


def find_cuts(changes: Sequence[float]) -> list[int]:
  """Returns the numbers of the frames that begin a new shot.

  Args:
    changes: the change of each frame, from `ChangeMeter`.
  """
  return [k for k in range(len(changes)) if is_cut(changes, k)]


def is_cut(changes: Sequence[float], k: int) -> bool:
  """Returns whether frame k begins a new shot: final once the changes of `CONTEXT_FRAMES` later frames are known."""
  if changes[k] < MIN_CUT_CHANGE:
    return False
  around = [*changes[max(1, k - CONTEXT_FRAMES) : k], *changes[k + 1 : k + 1 + CONTEXT_FRAMES]]
  return changes[k] >= MIN_CUT_RATIO * float(np.median(around or [0.0]))
