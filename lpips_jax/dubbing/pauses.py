"""When the speech pauses, and mouths rest."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lpips_jax.audio.chunks import Sound, in_chunks
from lpips_jax.audio.loudness import speech_level
from lpips_jax.audio.mel import SAMPLE_RATE

HOP = SAMPLE_RATE // 100  # samples from one level of the sound to the next
PIECE = 4096 * HOP  # samples that are looked at together
QUIET = 31.0  # dB below the level of the speech, from which it counts as a pause
SHORTEST_PAUSE = 0.4  # seconds
LIPS_AHEAD = 0.12  # seconds by which lips part before they are heard, and close after


def find_pauses(samples: Sound) -> np.ndarray:
  """Returns for each hundredth of a second whether lips should rest then.

  Args:
    samples: (S,) float in [-1, 1] at 16 kHz, S >= 1, pieced or not; neither their level nor an offset matters.

  Returns:
    (1 + S // 160,) bool.
  """
  level = 10 * np.log10(_powers(samples) + 1e-12)
  spoken = speech_level(samples)
  quiet = np.ones(len(level), bool) if spoken is None else level < spoken - QUIET
  pauses = np.zeros(len(quiet), bool)
  edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
  margin = round(LIPS_AHEAD * 100)
  for begin, end in edges.reshape(-1, 2):
    if end - begin >= SHORTEST_PAUSE * 100:
      first = begin + margin if begin else 0
      last = end - margin if end < len(quiet) else end
      pauses[first:last] = True
  return pauses


def is_pause(pauses: np.ndarray, times: Sequence[Fraction]) -> np.ndarray:
  """Whether lips rest at these times, (n,) bool: what `find_pauses` says, and always after the end of the sound."""
  places = np.array([int(time * 100) for time in times])
  return np.where(places < len(pauses), pauses[np.minimum(places, len(pauses) - 1)], True)


def _powers(samples: Sound) -> np.ndarray:
  """The power of each hundredth of a second, and of what is left at the end, (1 + S // 160,).

  About the mean of each moment: an offset, which may also wander, would fill the pauses of quiet speech.
  """
  powers, rest = [], np.zeros(0)
  for piece in in_chunks(samples, PIECE):
    whole = len(piece) // HOP * HOP
    powers.append(piece[:whole].reshape(-1, HOP).var(axis=1, dtype=np.float64))
    rest = piece[whole:]
  powers.append([rest.var(dtype=np.float64) if rest.size else 0.0])
  return np.concatenate(powers)
