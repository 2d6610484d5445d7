"""Everybody in a video: faces found in some of its frames, joined into one smooth line of boxes for each person."""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from scipy.optimize import linear_sum_assignment

from lpips_jax.faces import rotated_boxes
from lpips_jax.faces.boxes import LONGEST_GAP, REACH, SAME_FACE, Steady, overlap, prominence, smooth


@dataclass(frozen=True, eq=False)
class FaceTrack:
  """Somebody's face from the first to the last frame in which it was found.

  Attributes:
    first: number of the first frame.
    boxes: (n, 5) float64, a place in each frame, see `faces.rotated_boxes`: left, top, right, bottom in pixels, and the roll,
      smoothed.
    prominence: how much there is of the face: its area, less at the edge of the picture, summed over the frames.
  """

  first: int
  boxes: np.ndarray
  prominence: float


@dataclass(eq=False)
class GrowingTrack:
  """One person as far as they have been seen.

  Attributes:
    frames: rising numbers of the frames in which they were found.
    boxes: (5,) of each: left, top, right, bottom, roll; rolls go on past half a turn rather than jump.
    steady: holds what `box_at` says, frame by frame, still.
  """

  frames: list[int] = field(default_factory=list)
  boxes: list[np.ndarray] = field(default_factory=list)
  steady: Steady = field(default_factory=Steady)

  def add(self, frame: int, box: np.ndarray) -> None:
    if self.boxes:
      lately = np.median([before[4] for before in self.boxes[-3:]])  # one that was misjudged must not count
      box = np.append(box[:4], rotated_boxes.unwrapped(box[4], lately))
    self.frames.append(frame)
    self.boxes.append(box)

  def box_at(self, frame: int, rate: float) -> np.ndarray | None:
    """Returns the smoothed box, (5,), in a frame, or None if the face is not seen for half a second there.

    It is final once the frames up to `settling_frames(rate)` later have been looked at.
    """
    gap, reach = LONGEST_GAP * rate, math.ceil(REACH * rate - 1e-9)
    frames = self.frames
    last = bisect.bisect_left(frames, frame)
    if last == len(frames) or frames[0] > frame:
      return None
    first = last if frames[last] == frame else last - 1
    if not _bridged(frames, first, last, gap):
      return None
    while first > 0 and frames[first] > frame - reach and _bridged(frames, first - 1, first, gap):
      first -= 1
    while last < len(frames) - 1 and frames[last] < frame + reach and _bridged(frames, last, last + 1, gap):
      last += 1
    begin, end = max(frames[first], frame - reach), min(frames[last], frame + reach)
    line = _straight(frames[first : last + 1], self.boxes[first : last + 1], begin, end)
    return smooth(line, rate)[frame - begin]


def settling_frames(rate: float) -> int:
  """How many frames after one must be known before `GrowingTrack.box_at` it is final."""
  return math.ceil(REACH * rate) + math.ceil(LONGEST_GAP * rate) + 1


class FaceTracker:
  """Joins the faces of frames, as they come, into people.

  Faces of two frames belong together where their boxes overlap most.

  Args:
    patience: frames after which somebody who was out of sight is somebody new.
  """

  def __init__(self, patience: float) -> None:
    self.present: list[GrowingTrack] = []
    self._patience = max(patience, 1)

  def cut(self) -> None:
    """Nobody is followed into another shot."""
    self.present = []

  def see(self, frame: int, faces: np.ndarray) -> list[GrowingTrack]:
    """Takes the faces of the next frame that was looked at, (n, 5 or 6), and returns who is new in it."""
    self.present = [person for person in self.present if frame - person.frames[-1] <= self._patience]
    rolls = faces[:, 5:6] if faces.shape[1] > 5 else np.zeros((len(faces), 1), faces.dtype)
    faces = np.concatenate([faces[:, :4], rolls], axis=1)
    matched = set()
    if self.present and len(faces):
      shared = np.stack([overlap(person.boxes[-1], faces) for person in self.present])
      for person, face in zip(*linear_sum_assignment(shared, maximize=True), strict=True):
        if shared[person, face] >= SAME_FACE:
          self.present[person].add(frame, faces[face])
          matched.add(face)
    newcomers = [GrowingTrack([frame], [box]) for k, box in enumerate(faces) if k not in matched]
    self.present = self.present + newcomers
    return newcomers


def track_faces(
  detections: Sequence[np.ndarray | None], cuts: Sequence[int], rate: Fraction | float, frame_size: tuple[int, int]
) -> list[FaceTrack]:
  """Returns the people of a video, by their first frame; nobody is followed through a cut.

  Who is out of sight for half a second is somebody new after that; shorter gaps, and frames that were not looked at,
  are bridged in a straight line.

  Args:
    detections: for each frame (n, 6), left, top, right, bottom in pixels, score and roll, or (n, 5) of upright faces;
      None if it was not looked at.
    cuts: numbers of the frames that begin a new shot.
    rate: frames a second.
    frame_size: (width, height) of the frames in pixels.
  """
  everybody: list[GrowingTrack] = []
  for start, end in itertools.pairwise([0, *cuts, len(detections)]):
    crowd = FaceTracker(LONGEST_GAP * float(rate))
    for frame in range(start, end):
      if detections[frame] is not None:
        everybody += crowd.see(frame, detections[frame])
  people = [_person(person, rate, frame_size) for person in everybody]
  return sorted(people, key=lambda person: person.first)


def _person(seen: GrowingTrack, rate: Fraction | float, frame_size: tuple[int, int]) -> FaceTrack:
  line = _straight(seen.frames, seen.boxes, seen.frames[0], seen.frames[-1])
  boxes = np.array([seen.steady(box) for box in smooth(line, rate)])
  return FaceTrack(seen.frames[0], boxes, float(prominence(line, frame_size).sum()))


def _bridged(frames: Sequence[int], before: int, after: int, gap: float) -> bool:
  return after == before or frames[after] - frames[before] - 1 < gap


def _straight(frames: Sequence[int], boxes: Sequence[np.ndarray], first: int, last: int) -> np.ndarray:
  """Boxes of all frames from first to last, (n, 5): between two sightings on a straight line.

  A roll that agrees with neither the one before nor the one after has been misjudged, and is passed over.
  """
  known = np.array(boxes, np.float64)
  rolls = known[:, 4].copy()
  known[1:-1, 4] = np.median([rolls[:-2], rolls[1:-1], rolls[2:]], axis=0) if len(known) > 2 else rolls[1:-1]
  wanted = np.arange(first, last + 1)
  return np.stack([np.interp(wanted, frames, known[:, k]) for k in range(known.shape[1])], axis=1)
