"""Which frame shows a generator whose mouth it is to move: the mouth of that frame must not come through."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lpips_jax.faces.rest import references_for, rest_frame


def current(frames: np.ndarray) -> np.ndarray:
  """The very frame that is edited."""
  return frames


def elsewhere(frames: np.ndarray) -> np.ndarray:
  """The frame half a clip away."""
  return np.roll(frames, len(frames) // 2, axis=0)


def rest(frames: np.ndarray) -> np.ndarray:
  """A frame of the clip whose mouth is nearly shut, in the pose of each frame, as dubbing shows it."""
  return references_for(frames, frames[rest_frame(frames)])


# Each takes the frames of a clip, (t, h, w, 3) uint8, and returns as many references.
REFERENCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {'current': current, 'elsewhere': elsewhere, 'rest': rest}


def trace(frames: np.ndarray, reference: str) -> np.ndarray:
  """Returns the faces whose mouths could come through: those that were shown or, if these are at rest, the filmed."""
  return frames if reference == 'rest' else REFERENCES[reference](frames)


def usual(generator: Any) -> str:
  """Returns the name of the reference that a generator was trained to be shown."""
  return generator.config.data.get('reference', 'elsewhere')
