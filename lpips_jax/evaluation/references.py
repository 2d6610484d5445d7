"""References: the frames that show a generator whose mouth to draw; their own mouths must not come through."""

from collections.abc import Callable

import numpy as np
from ml_collections import ConfigDict

from lpips_jax.faces.references import references_for, rest_frame


def current(frames: np.ndarray) -> np.ndarray:
  """Returns the very frames that are edited."""
  return frames


def elsewhere(frames: np.ndarray) -> np.ndarray:
  """Returns for each frame the one half a clip away."""
  return np.roll(frames, len(frames) // 2, axis=0)


def rest(frames: np.ndarray) -> np.ndarray:
  """Returns a frame of the clip whose mouth is nearly shut, in the pose of each frame, as dubbing does."""
  return references_for(frames, frames[rest_frame(frames)])


# Each maps the frames of a clip, (t, h, w, 3) uint8, to as many references.
REFERENCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {'current': current, 'elsewhere': elsewhere, 'rest': rest}


def reference_of(data: ConfigDict) -> str:
  """Returns the name, in `REFERENCES`, of the references that the generator of a `config.data` was trained with."""
  return data.get('reference', 'elsewhere')


def references_of(data: ConfigDict, frames: np.ndarray) -> np.ndarray:
  """Returns references of the kind that the generator of a config was trained with.

  Args:
    data: `config.data` of the generator's run.
    frames: (t, h, w, 3) uint8, of one clip.

  Returns:
    (t, h, w, 3) uint8, one for each frame.
  """
  return REFERENCES[reference_of(data)](frames)


def leaking_faces(frames: np.ndarray, reference: str) -> np.ndarray:
  """Returns the faces whose mouths could come through: the references or, if those are at rest, the filmed frames."""
  return frames if reference == 'rest' else REFERENCES[reference](frames)
