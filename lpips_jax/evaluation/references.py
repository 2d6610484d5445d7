"""Which frame shows a generator whose mouth it is to move: the mouth of that frame must not come through."""

from collections.abc import Callable

import numpy as np

from lpips_jax.metrics.mouth import mouth_opening


def current(frames: np.ndarray) -> np.ndarray:
  """The very frame that is edited."""
  return frames


def elsewhere(frames: np.ndarray) -> np.ndarray:
  """The frame half a clip away."""
  return np.roll(frames, len(frames) // 2, axis=0)


def rest(frames: np.ndarray) -> np.ndarray:
  """The one frame of the clip whose mouth is most nearly shut."""
  shut = frames[int(np.argmin(mouth_opening(frames)))]
  return np.broadcast_to(shut, frames.shape)


# Each takes the frames of a clip, (t, h, w, 3), and returns as many references.
REFERENCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {'current': current, 'elsewhere': elsewhere, 'rest': rest}
USUAL = 'elsewhere'  # what the systems of the first table are shown
