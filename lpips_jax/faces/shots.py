"""Where the picture cuts from one shot to another."""

from collections.abc import Sequence

import cv2
import numpy as np

THUMBNAIL = 32, 18  # pixels: what is left at this size is the composition of the picture
LEAST_CHANGE = 0.12  # one minus the correlation of two frames across a cut
MOST_CHANGE = 2.0  # of a picture into its negative
LEAST_RATIO = 4.0  # by how much a cut stands out from the changes around it, which a moving camera makes too
AROUND = 3  # frames either way that count as around
BLANK = 5.0  # standard deviation of the grey levels below which a frame shows nothing: black, or a flash


class ChangeMeter:
  """Tells of each frame how much it differs from the one before.

  The measure is one minus the correlation of two thumbnails, from 0 (alike) to 2. It is blind to brightness and
  contrast, so that neither a flash nor a fade counts as a cut; a blank frame is passed over.
  """

  def __init__(self) -> None:
    self._last = None

  def __call__(self, frame: np.ndarray) -> float:
    """Returns the change from the last frame to this one, (H, W, 3) uint8 RGB or (H, W) grey; 0 for the first."""
    small = cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA)
    grey = (cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) if small.ndim == 3 else small).ravel()
    spread = float(grey.std())
    if spread < BLANK:
      return 0.0
    now = (grey - grey.mean()) / (spread * np.sqrt(grey.size))
    change = 0.0 if self._last is None else 1.0 - float(now @ self._last)
    self._last = now
    return change


def find_cuts(changes: Sequence[float]) -> list[int]:
  """Returns the numbers of the frames that begin a new shot.

  Args:
    changes: of each frame, from `ChangeMeter`.
  """
  return [k for k in range(len(changes)) if is_cut(changes, k)]


def is_cut(changes: Sequence[float], k: int) -> bool:
  """Whether frame k begins a new shot; final once the changes of `AROUND` frames after it are known."""
  if changes[k] < LEAST_CHANGE:
    return False
  around = [*changes[max(1, k - AROUND) : k], *changes[k + 1 : k + 1 + AROUND]]
  return changes[k] >= LEAST_RATIO * float(np.median(around or [0.0]))
