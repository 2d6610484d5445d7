"""A look ahead through a video, before any of it is dubbed: who is where, and what their mouths look like at rest.

A film is dubbed from its first frame on, but the frame that shows a mouth at rest may come late. What is found of faces
on the way is used again when the film is dubbed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np

from lpips_jax.dubbing.boxes import Boxes
from lpips_jax.dubbing.cutout import SMALL, cut_out, large_crop
from lpips_jax.faces.boxes import overlap
from lpips_jax.faces.pose import likeness
from lpips_jax.faces.rest import rest_frame
from lpips_jax.faces.shots import ChangeMeter
from lpips_jax.media.playback import Shown

SHORTEST_LOOK = Fraction(20)  # seconds that are looked at, however short the speech
CANDIDATES = 48  # crops kept of one person, among which the mouth at rest is sought
APART = 3  # frames between two of them at first; more once there are too many
ENOUGH = 12  # of them; of whom fewer were seen, others who look the same serve, too: the same person in another shot
SAME_PERSON = 0.3  # intersection over union with the box of the frame before
OTHER_PERSON = 0.5  # change from the crop before, one minus their correlation
LONGEST_SEEN = 16  # people, among whom somebody who was seen for a moment may be found again
AS_WHOLE = 0.02  # share of the lower half of a face that may be missing of it more than at other times
LOOKS_THE_SAME = 0.93  # likeness of two crops, from which they are taken to be of one person


@dataclass(eq=False)
class Known:
  """Somebody in sight without a break, and how they have looked."""

  number: int
  box: np.ndarray
  meter: ChangeMeter = field(default_factory=ChangeMeter)
  seen: int = 0
  apart: int = APART
  crops: list[np.ndarray] = field(default_factory=list)
  missing: list[float] = field(default_factory=list)  # of each crop, see `cutting.Face`

  def keep(self, crop: np.ndarray, missing: float = 0.0) -> None:
    """Adds a crop to those kept; of too many every second is let go, so that they are from all over the film."""
    self.crops.append(crop)
    self.missing.append(missing)
    if len(self.crops) > CANDIDATES:
      self.crops, self.missing, self.apart = self.crops[::2], self.missing[::2], 2 * self.apart


class People:
  """Tells who of those in a frame were in the frame before."""

  def __init__(self) -> None:
    self.everybody: list[Known] = []
    self._present: list[Known] = []

  def see(self, boxes: Sequence[np.ndarray], crops: Sequence[np.ndarray]) -> list[Known]:
    """Takes the faces of the next frame, their boxes and crops (s, s, 3), and returns whose they are."""
    people = []
    for box, crop in zip(boxes, crops, strict=True):
      person = self._same(box, crop)
      if person is None:
        person = Known(len(self.everybody), box)
        person.meter(crop)
        self.everybody.append(person)
      person.box = box
      people.append(person)
    self._present = people
    return people

  def _same(self, box: np.ndarray, crop: np.ndarray) -> Known | None:
    for person in self._present:
      if overlap(box, person.box[None])[0] >= SAME_PERSON and person.meter(crop) < OTHER_PERSON:
        return person
    return None


@dataclass(frozen=True, eq=False)
class LookaheadResult:
  """What a look through a video has found.

  Attributes:
    boxes: of each frame, of those who are to be dubbed.
    people: of each frame, the number of the person in each of its boxes.
    mouths: of each person a crop, (r, r, 3) uint8, that shows their mouth at rest.
  """

  boxes: list[Boxes]
  people: list[list[int]]
  mouths: list[np.ndarray]

  def __call__(self, frames: Iterable[Shown]) -> Iterator[tuple[Shown, Boxes]]:
    """Yields frames with their boxes: a `locating.Locator` that need not look again."""
    for shown in frames:
      yield shown, self.boxes[shown.index] if shown.index < len(self.boxes) else []

  def mouths_in(self, frame: int) -> list[np.ndarray]:
    """The mouths at rest of the people in a frame, in the order of its boxes."""
    return [self.mouths[person] for person in self.people[frame]]


def look_ahead(located: Iterable[tuple[Shown, Boxes]]) -> LookaheadResult:
  """Looks through a video, frame by frame from its first one.

  Args:
    located: its frames, each with the boxes of the faces that are to be dubbed.
  """
  people, boxes, numbers = People(), [], []
  for shown, found in located:
    faces = [face for box in found if (face := cut_out(shown, box, SMALL)) is not None]
    known = people.see([face.box_in_frame for face in faces], [face.crop for face in faces])
    for face, person in zip(faces, known, strict=True):
      if person.seen % person.apart == 0:
        person.keep(large_crop(shown, face), face.missing)
      person.seen += 1
    boxes.append([face.box_in_frame for face in faces])
    numbers.append([person.number for person in known])
  well_known = sorted(people.everybody, key=lambda person: -person.seen)[:LONGEST_SEEN]
  return LookaheadResult(boxes, numbers, [_mouth_at_rest(person, well_known) for person in people.everybody])


def _mouth_at_rest(person: Known, well_known: Sequence[Known]) -> np.ndarray:
  crops, missing = list(person.crops), list(person.missing)
  if len(crops) < ENOUGH:
    own = crops[len(crops) // 2]
    for other in well_known:
      if other is not person and likeness(own, other.crops[len(other.crops) // 2]) >= LOOKS_THE_SAME:
        crops += other.crops
        missing += other.missing
  # One whose chin the picture cuts off has no chin to lend to frames that show it.
  crops = [crop for crop, share in zip(crops, missing, strict=True) if share <= min(missing) + AS_WHOLE]
  small = np.stack([cv2.resize(crop, (SMALL, SMALL), interpolation=cv2.INTER_AREA) for crop in crops])
  return crops[rest_frame(small)]
