"""AVS: how alike the features are that an audio-visual expert has of lips and of sound, or of two pairs of lips.

After Yaman et al. (arXiv 2405.04327), with AV-HuBERT's last features, frame by frame:

- AVS_u: of the lips alone, and of the sound alone.
- AVS_m: of the lips and the sound, and of the true lips and the sound.
- AVS_v: of the lips alone, and of the true lips alone.

The paper's text was not at hand: that frames of a clip are averaged, and which features are taken, are our choices.
"""

import numpy as np
from jaxtyping import Float


def similarity(x: Float[np.ndarray, 't d'], y: Float[np.ndarray, 't d']) -> float:
  """Returns the mean cosine of features of the same frames: from -1 to 1, higher is better.

  A feature that is 0 is like nothing: its cosine counts as 0.

  Raises:
    ValueError: there are no frames, or not as many of both.
  """
  x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
  if x.shape != y.shape or not x.size:
    raise ValueError(f'give features of the same frames, not arrays of shapes {x.shape} and {y.shape}')
  lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
  return float(((x * y).sum(-1) / np.where(lengths == 0, 1, lengths)).mean())
