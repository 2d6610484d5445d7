"""Face tracks: the faces found in some frames of a video, joined into smooth boxes in every frame for each person."""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from scipy.optimize import linear_sum_assignment

from lpips_jax.faces import rotated_boxes
from lpips_jax.faces.boxes import MAX_GAP_SECONDS, SAME_FACE_IOU, SMOOTHING_REACH, Steady, overlap, prominence, smooth


@dataclass(frozen=True, eq=False)
class FaceTrack:
  """One face from the first to the last frame in which it was found.

  Attributes:
    first: number of the first frame.
    boxes: (n, 5) float64, the smoothed box of each frame: left, top, right, bottom in pixels, and the roll; see
      `faces.rotated_boxes`.
    prominence: the area of the face, less towards the edge of the picture, summed over the frames.
  """

  first: int
  boxes: np.ndarray
  prominence: float


@dataclass(eq=False)
class GrowingTrack:
  """The track of one person as far as the video has been read.

  Attributes:
    frames: rising numbers of the frames in which the face was found.
    boxes: (5,) each: left, top, right, bottom, roll, as found; rolls go on past half a turn rather than jump.
    steady: holds the results of `box_at` still, frame by frame.
  """

  frames: list[int] = field(default_factory=list)
  boxes: list[np.ndarray] = field(default_factory=list)
  steady: Steady = field(default_factory=Steady)

  def add(self, frame: int, box: np.ndarray) -> None:
    """Adds the face, (5,), as it was found in a later frame."""
    if self.boxes:
      last_roll = float(np.median([before[4] for before in self.boxes[-3:]]))  # one wrong roll must not count
      box = np.append(box[:4], rotated_boxes.unwrapped(box[4], last_roll))
    self.frames.append(frame)
    self.boxes.append(box)

  def box_at(self, frame: int, rate: float) -> np.ndarray | None:
    """Returns the smoothed box of a frame, (5,), or None if the face is out of sight there for half a second or more.

    It is final once the following `settling_frames(rate)` frames have been looked at.
    """
    gap, reach = MAX_GAP_SECONDS * rate, math.ceil(SMOOTHING_REACH * rate - 1e-9)
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
  """Returns how many frames after one must be known before its `GrowingTrack.box_at` is final."""
  return math.ceil(SMOOTHING_REACH * rate) + math.ceil(MAX_GAP_SECONDS * rate) + 1


class FaceTracker:
  """Joins the faces of frames into tracks, frame by frame.

  Faces of two frames are matched so that their boxes overlap most in total.

  Args:
    max_absence: frames without the face after which a track ends.

  Attributes:
    present: the tracks that have not ended.
  """

  def __init__(self, max_absence: float) -> None:
    self.present: list[GrowingTrack] = []
    self._max_absence = max(max_absence, 1)

  def cut(self) -> None:
    """Ends all tracks: nobody is followed into another shot."""
    self.present = []

  def see(self, frame: int, faces: np.ndarray) -> list[GrowingTrack]:
    """Adds the faces of the next frame that was looked at, (n, 5) or (n, 6), and returns the tracks that begin."""
    self.present = [person for person in self.present if frame - person.frames[-1] <= self._max_absence]
    rolls = faces[:, 5:6] if faces.shape[1] > 5 else np.zeros((len(faces), 1), faces.dtype)
    faces = np.concatenate([faces[:, :4], rolls], axis=1)
    matched = set()
    if self.present and len(faces):
      shared = np.stack([overlap(person.boxes[-1], faces) for person in self.present])
      for person, face in zip(*linear_sum_assignment(shared, maximize=True), strict=True):
        if shared[person, face] >= SAME_FACE_IOU:
          self.present[person].add(frame, faces[face])
          matched.add(face)
    newcomers = [GrowingTrack([frame], [box]) for k, box in enumerate(faces) if k not in matched]
    self.present = self.present + newcomers
    return newcomers


def track_faces(
  detections: Sequence[np.ndarray | None], cuts: Sequence[int], rate: Fraction | float, frame_size: tuple[int, int]
) -> list[FaceTrack]:
  """Returns the tracks of a video, by their first frame; none goes through a cut.

  Somebody who is out of sight for half a second gets a new track. Shorter gaps, and frames that were not looked at, are
  bridged in a straight line.

  Args:
    detections: for each frame (n, 6), left, top, right, bottom in pixels, score and roll, or (n, 5) for upright faces;
      None if the frame was not looked at.
    cuts: numbers of the frames that begin a new shot.
    rate: frames per second.
    frame_size: (width, height) of the frames in pixels.
  """
  everybody: list[GrowingTrack] = []
  for start, end in itertools.pairwise([0, *cuts, len(detections)]):
    tracker = FaceTracker(MAX_GAP_SECONDS * float(rate))
    for frame in range(start, end):
      faces = detections[frame]
      if faces is not None:
        everybody += tracker.see(frame, faces)
  people = [_finished(person, rate, frame_size) for person in everybody]
  return sorted(people, key=lambda person: person.first)


def _finished(seen: GrowingTrack, rate: Fraction | float, frame_size: tuple[int, int]) -> FaceTrack:
  line = _straight(seen.frames, seen.boxes, seen.frames[0], seen.frames[-1])
  boxes = np.array([seen.steady(box) for box in smooth(line, rate)])
  return FaceTrack(seen.frames[0], boxes, float(prominence(line, frame_size).sum()))


def _bridged(frames: Sequence[int], before: int, after: int, gap: float) -> bool:
  """Returns whether fewer frames than `gap` lie between two neighbours of `frames`, given by their indices."""
  return after == before or frames[after] - frames[before] - 1 < gap


def _straight(frames: Sequence[int], boxes: Sequence[np.ndarray], first: int, last: int) -> np.ndarray:
  """Returns the boxes of all frames from first to last, (n, 5): between two detections on a straight line.

  A roll that agrees with neither the one before nor the one after counts as a wrong reading, and is replaced.
  """
  known = np.array(boxes, np.float64)
  rolls = known[:, 4].copy()
  known[1:-1, 4] = np.median([rolls[:-2], rolls[1:-1], rolls[2:]], axis=0) if len(known) > 2 else rolls[1:-1]
  wanted = np.arange(first, last + 1)
  return np.stack([np.interp(wanted, frames, known[:, k]) for k in range(known.shape[1])], axis=1)
