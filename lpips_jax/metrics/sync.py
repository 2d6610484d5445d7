"""Agreement of lips and speech, measured by the embeddings of a sync expert.

`sync_scores` follows the definition of LSE-D, LSE-C and offset (Chung and Zisserman, "Out of time", ACCV-W 2016), with
the embeddings of any expert: numbers are comparable only among clips that one expert has scored.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MAX_SHIFT = 15  # video frames either way


class SyncScores(NamedTuple):
  """Scores of a clip, from the distances between faces and shifted speech."""

  distance: float  # at the best shift; lower is better
  confidence: float  # by how much the best shift beats the median one; higher is better
  offset: int  # video frames by which the sound is ahead of the picture


def sync_scores(
  face: Float[np.ndarray, 't d'], audio: Float[np.ndarray, 't d'], max_shift: int = MAX_SHIFT
) -> SyncScores:
  """Returns distance (as LSE-D), confidence (as LSE-C) and offset of one clip.

  The offset is max_shift minus the index of the smallest distance. It is positive where the sound is ahead of the
  picture: with an offset of 2, the sound that belongs to frame k is found 2 frames earlier, at frame k - 2. It is
  negative where the sound is late, and 0 in sync.

  Args:
    face: embeddings of the windows that start at each video frame.
    audio: embeddings of the speech of the same windows.
    max_shift: frames by which speech is shifted, either way.

  Raises:
    ValueError: the two are not of one shape (t >= 1, d).
  """
  means = distances(face, audio, max_shift)
  best = int(means.argmin())
  return SyncScores(float(means[best]), float(np.median(means) - means[best]), max_shift - best)


def distances(
  face: Float[np.ndarray, 't d'], audio: Float[np.ndarray, 't d'], max_shift: int = MAX_SHIFT
) -> Float[np.ndarray, ' 2*{max_shift}+1']:
  """Returns the mean Euclidean distance between faces and speech for each shift of the speech.

  Args:
    face: embeddings of the windows that start at each video frame.
    audio: embeddings of the speech of the same windows; zeros stand for those before and after.
    max_shift: frames by which speech is shifted, either way.

  Returns:
    float64; element s compares face k with speech k + s - max_shift.

  Raises:
    ValueError: the two are not of one shape (t >= 1, d).
  """
  face, audio = np.asarray(face, np.float64), np.asarray(audio, np.float64)
  if face.ndim != 2 or face.shape != audio.shape or len(face) == 0:
    raise ValueError(f'expected faces and speech of one shape (t >= 1, d), not {face.shape} and {audio.shape}')
  padded = np.pad(audio, ((max_shift, max_shift), (0, 0)))
  shifts = range(2 * max_shift + 1)
  return np.array([np.linalg.norm(face - padded[s : s + len(face)], axis=1).mean() for s in shifts])


def sync_accuracy(similarity: Float[np.ndarray, 'w w'], threshold: float, minimum_offset: int = 3) -> dict[str, float]:
  """Returns how well an expert tells the in-sync windows of one clip from its off-sync ones.

  Args:
    similarity: element (i, j) says how well the face window that starts at frame i fits the speech that starts at frame
      j: any number that grows with it, such as a cosine or the probability of being in sync.
    threshold: pairs above it are predicted to be in sync; 0.5 for probabilities.
    minimum_offset: frames by which a pair must be apart to count as off-sync; nearer ones count as neither.

  Returns:
    Rates in [0, 1]. `in_sync`: pairs (i, i) above the threshold. `off_sync`: pairs |i - j| >= minimum_offset not above
    it. `accuracy`: the mean of the two, as both kinds matter alike however many there are. `ranking`: off-sync
    pairs that are less similar than the in-sync pair of the same face window, ties counting half.

  Raises:
    ValueError: the matrix is not square, or too small to have off-sync pairs.
  """
  similarity = np.asarray(similarity, np.float64)
  if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
    raise ValueError(f'similarities come as a (w, w) matrix, not {similarity.shape}')
  if len(similarity) <= minimum_offset:
    raise ValueError(f'{len(similarity)} windows have no pairs that are {minimum_offset} frames apart')
  start = np.arange(len(similarity))
  off_sync = np.abs(start[:, None] - start[None, :]) >= minimum_offset
  own = similarity.diagonal()
  others, own_of_others = similarity[off_sync], np.broadcast_to(own[:, None], similarity.shape)[off_sync]
  hits, rejections = float((own > threshold).mean()), float((others <= threshold).mean())
  ranking = float((own_of_others > others).mean() + (own_of_others == others).mean() / 2)
  return {'in_sync': hits, 'off_sync': rejections, 'accuracy': (hits + rejections) / 2, 'ranking': ranking}
