"""A look ahead through a video, before any of it is dubbed: who is where, and each person's mouth at rest.

A video is dubbed from its first frame on, but the frame that shows a mouth at rest may come late. The faces found on
the way are kept for the dub.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np

from lpips_jax.dubbing.boxes import Located
from lpips_jax.dubbing.cutout import MIN_CROP_SIDE, cut_out, large_crop
from lpips_jax.faces.boxes import overlap
from lpips_jax.faces.pose import likeness
from lpips_jax.faces.references import rest_frame
from lpips_jax.faces.shots import ChangeMeter
from lpips_jax.media.playback import PlayedFrame

MIN_LOOK_AHEAD = Fraction(20)  # seconds, however short the speech
MAX_CROPS = 48  # kept of one person; the mouth at rest is chosen from these
FIRST_SPACING = 3  # frames between two kept crops, until there are too many
ENOUGH_CROPS = 12  # with fewer, crops of others who look the same are used, too: the same person in another shot
MAX_LENDERS = 16  # people, those seen longest, whose crops others may use
SAME_LOOKS = 0.93  # likeness of two crops, from which they count as one person's
SAME_PERSON_IOU = 0.3  # with the box of the frame before
OTHER_PERSON_CHANGE = 0.5  # from the crop before: one minus their correlation
MISSING_SLACK = 0.02  # of the lower half of a face, beyond the least that is missing of it


@dataclass(eq=False)
class KnownPerson:
  """Somebody who is in sight without a break, with some crops.

  Attributes:
    number: of the person.
    box: (5,), the latest.
    meter: measures the change of looks, which reveals another person in the same place.
    seen: in how many frames.
    spacing: frames between two kept crops.
    crops: (r, r, 3) uint8 each, from all over the time in sight.
    missing: see `cutout.Face`, of each crop.
  """

  number: int
  box: np.ndarray
  meter: ChangeMeter = field(default_factory=ChangeMeter)
  seen: int = 0
  spacing: int = FIRST_SPACING
  crops: list[np.ndarray] = field(default_factory=list)
  missing: list[float] = field(default_factory=list)

  def keep(self, crop: np.ndarray, missing: float = 0.0) -> None:
    """Keeps a crop; once there are too many, drops every second one, so that they cover all the time in sight."""
    self.crops.append(crop)
    self.missing.append(missing)
    if len(self.crops) > MAX_CROPS:
      self.crops, self.missing, self.spacing = self.crops[::2], self.missing[::2], 2 * self.spacing


class PersonMatcher:
  """Matches the faces of each frame with the people of the frame before.

  Attributes:
    everybody: all people so far, by their number.
  """

  def __init__(self) -> None:
    self.everybody: list[KnownPerson] = []
    self._present: list[KnownPerson] = []

  def see(self, boxes: Sequence[np.ndarray], crops: Sequence[np.ndarray]) -> list[KnownPerson]:
    """Returns the person of each face of the next frame, by their boxes, (5,), and crops, (s, s, 3) uint8."""
    people = []
    for box, crop in zip(boxes, crops, strict=True):
      person = self._same(box, crop)
      if person is None:
        person = KnownPerson(len(self.everybody), box)
        person.meter(crop)
        self.everybody.append(person)
      person.box = box
      people.append(person)
    self._present = people
    return people

  def _same(self, box: np.ndarray, crop: np.ndarray) -> KnownPerson | None:
    for person in self._present:
      if overlap(box, person.box[None])[0] >= SAME_PERSON_IOU and person.meter(crop) < OTHER_PERSON_CHANGE:
        return person
    return None


@dataclass(frozen=True, eq=False)
class LookaheadResult:
  """The result of a look ahead through a video.

  Attributes:
    located: of each frame, the faces to be dubbed.
    people: of each frame, the number of the person in each of its boxes.
    mouths: of each person a crop, (r, r, 3) uint8, that shows their mouth at rest.
  """

  located: list[list[Located]]
  people: list[list[int]]
  mouths: list[np.ndarray]

  def __call__(self, frames: Iterable[PlayedFrame]) -> Iterator[tuple[PlayedFrame, list[Located]]]:
    """Yields frames with their faces, in place of a `boxes.Locator`, without looking again."""
    for shown in frames:
      yield shown, self.located[shown.index] if shown.index < len(self.located) else []

  def mouths_in(self, frame: int) -> list[np.ndarray]:
    """Returns the mouths at rest of the people in a frame, in the order of its boxes."""
    return [self.mouths[person] for person in self.people[frame]]


def look_ahead(located: Iterable[tuple[PlayedFrame, list[Located]]]) -> LookaheadResult:
  """Looks through a video, frame by frame from its first one.

  Args:
    located: its frames, each with the faces to be dubbed.
  """
  matcher = PersonMatcher()
  kept: list[list[Located]] = []
  numbers: list[list[int]] = []
  for shown, found in located:
    cuts = [(cut_out(shown, box, MIN_CROP_SIDE), voice) for box, voice in found]
    faces = [face for face, _ in cuts if face is not None]
    people = matcher.see([face.box_in_frame for face in faces], [face.crop for face in faces])
    for face, person in zip(faces, people, strict=True):
      if person.seen % person.spacing == 0:
        person.keep(large_crop(shown, face), face.missing)
      person.seen += 1
    kept.append([Located(face.box_in_frame, voice) for face, voice in cuts if face is not None])
    numbers.append([person.number for person in people])
  lenders = sorted(matcher.everybody, key=lambda person: -person.seen)[:MAX_LENDERS]
  return LookaheadResult(kept, numbers, [mouth_at_rest(person, lenders) for person in matcher.everybody])


def mouth_at_rest(person: KnownPerson, lenders: Sequence[KnownPerson]) -> np.ndarray:
  """Returns the crop that shows a person's mouth at rest, (r, r, 3) uint8.

  Args:
    person: with at least one crop.
    lenders: people whose crops are used as well, if they look the same and the person has few.
  """
  crops, missing = list(person.crops), list(person.missing)
  if len(crops) < ENOUGH_CROPS:
    own = crops[len(crops) // 2]
    for other in lenders:
      if other is not person and likeness(own, other.crops[len(other.crops) // 2]) >= SAME_LOOKS:
        crops += other.crops
        missing += other.missing
  # A crop whose chin the picture cuts off has no chin to lend to frames that show it.
  crops = [crop for crop, share in zip(crops, missing, strict=True) if share <= min(missing) + MISSING_SLACK]
  small = np.stack([cv2.resize(crop, (MIN_CROP_SIDE, MIN_CROP_SIDE), interpolation=cv2.INTER_AREA) for crop in crops])
  return crops[rest_frame(small)]
