"""Mouths at rest: when the speech pauses, and what a face looks like with its mouth shut."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from lpips_jax.media.audio import SAMPLE_RATE
from lpips_jax.media.shots import ChangeMeter
from lpips_jax.media.track import overlap

HOP = SAMPLE_RATE // 100  # samples from one level of the sound to the next
LOUD_PERCENTILE = 95
QUIET = 35.0  # dB below the loud parts of the speech, from which it counts as a pause
SILENT = -60.0  # dB of full scale, below which nothing is speech
SHORTEST_PAUSE = 0.4  # seconds
LIPS_AHEAD = 0.12  # seconds by which lips part before they are heard, and close after
CANDIDATES = 48  # faces of one person among which the most shut mouth is sought
APART = 5  # frames between two of them
SAME_PERSON = 0.3  # intersection over union with the box of the frame before
OTHER_PERSON = 0.5  # change from the crop before, one minus their correlation


def find_pauses(samples: np.ndarray) -> np.ndarray:
  """Returns for each hundredth of a second whether lips should rest then.

  Args:
    samples: (S,) float in [-1, 1] at 16 kHz.

  Returns:
    (1 + S // 160,) bool.
  """
  padded = np.pad(samples, (0, HOP - len(samples) % HOP)).reshape(-1, HOP)
  level = 10 * np.log10(np.mean(np.square(padded, dtype=np.float64), axis=1) + 1e-12)
  quiet = level < max(SILENT, np.percentile(level, LOUD_PERCENTILE) - QUIET)
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


@dataclass(eq=False)
class Known:
  """Somebody in sight, and how they have looked."""

  box: np.ndarray
  meter: ChangeMeter = field(default_factory=ChangeMeter)
  seen: int = 0
  crops: list[np.ndarray] = field(default_factory=list)
  shut: np.ndarray | None = None  # the crop whose mouth is most nearly shut, until there are new ones


class ShutMouths:
  """Keeps of each person in sight some crops, and knows in which their mouth is most nearly shut."""

  def __init__(self) -> None:
    self._people: list[Known] = []

  def see(self, boxes: Sequence[np.ndarray], crops: Sequence[np.ndarray]) -> list[Known]:
    """Takes the faces of the next frame, boxes (5,) and crops (s, s, 3), and returns whose they are."""
    people = [self._same(box, crop) or Known(box) for box, crop in zip(boxes, crops, strict=True)]
    for person, box, crop in zip(people, boxes, crops, strict=True):
      person.box = box
      if person.seen % APART == 0:
        person.crops = [*person.crops[-CANDIDATES + 1 :], crop]
        person.shut = None
      person.seen += 1
    self._people = people
    return people

  def _same(self, box: np.ndarray, crop: np.ndarray) -> Known | None:
    for person in self._people:
      if overlap(box, person.box[None])[0] >= SAME_PERSON and person.meter(crop) < OTHER_PERSON:
        return person
    return None


def shut_mouth(person: Known) -> np.ndarray:
  """Returns the crop of a person, of those that were kept, whose mouth is most nearly shut."""
  from lpips_jax.metrics.mouth import mouth_opening  # here: bad input is told before JAX is waited for

  if person.shut is None:
    person.shut = person.crops[int(np.argmin(mouth_opening(np.stack(person.crops))))]
  return person.shut
