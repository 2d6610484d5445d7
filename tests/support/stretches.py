"""Stretches of a mask, for tests of speech."""

import numpy as np


def stretches(mask):
  """Returns starts and ends of the stretches of True that lie wholly inside."""
  edges = np.diff(mask.astype(int))
  starts, ends = np.flatnonzero(edges == 1) + 1, np.flatnonzero(edges == -1) + 1
  ends = ends[ends > starts[0]] if len(starts) else ends
  return starts[: len(ends)], ends
