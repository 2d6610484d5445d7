"""Everybody in a video: faces found in some of its frames, joined into one smooth line of boxes for each person."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.optimize import linear_sum_assignment

from lpips_jax.media.track import LONGEST_GAP, SAME_FACE, overlap, prominence, smooth


@dataclass(frozen=True, eq=False)
class Person:
  """Somebody's face from the first to the last frame in which it was found.

  Attributes:
    first: number of the first frame.
    boxes: (n, 4) float64, one a frame: left, top, right, bottom in pixels, smoothed.
    prominence: how much there is of the face: its area, less at the edge of the picture, summed over the frames.
  """

  first: int
  boxes: np.ndarray
  prominence: float


def follow_everybody(
  detections: Sequence[np.ndarray | None], cuts: Sequence[int], rate: Fraction | float, frame_size: tuple[int, int]
) -> list[Person]:
  """Returns the people of a video, by their first frame; nobody is followed through a cut.

  Faces of two frames belong together where their boxes overlap most. Who is out of sight for half a second is
  somebody new after that; shorter gaps, and frames that were not looked at, are bridged in a straight line.

  Args:
    detections: for each frame (n, 5), left, top, right, bottom, score in pixels; None if it was not looked at.
    cuts: numbers of the frames that begin a new shot.
    rate: frames a second.
    frame_size: (width, height) of the frames in pixels.
  """
  people = []
  for start, end in itertools.pairwise([0, *cuts, len(detections)]):
    for sightings in _joined(detections, range(start, end), LONGEST_GAP * float(rate)):
      people.append(_person(sightings, rate, frame_size))
  return sorted(people, key=lambda person: person.first)


def _joined(detections: Sequence[np.ndarray | None], shot: range, longest_gap: float) -> list[list]:
  """Returns for each person of a shot the list of (frame, box) sightings."""
  everybody, present = [], []
  for frame in shot:
    if detections[frame] is None:
      continue
    present = [sightings for sightings in present if frame - sightings[-1][0] <= max(longest_gap, 1)]
    faces = detections[frame][:, :4]
    matched = set()
    if present and len(faces):
      shared = np.stack([overlap(sightings[-1][1], faces) for sightings in present])
      for person, face in zip(*linear_sum_assignment(shared, maximize=True), strict=True):
        if shared[person, face] >= SAME_FACE:
          present[person].append((frame, faces[face]))
          matched.add(face)
    newcomers = [[(frame, box)] for k, box in enumerate(faces) if k not in matched]
    everybody += newcomers
    present += newcomers
  return everybody


def _person(sightings: list, rate: Fraction | float, frame_size: tuple[int, int]) -> Person:
  frames, boxes = np.array([frame for frame, _ in sightings]), np.array([box for _, box in sightings], np.float64)
  everything = np.arange(frames[0], frames[-1] + 1)
  bridged = np.stack([np.interp(everything, frames, boxes[:, edge]) for edge in range(4)], axis=1)
  return Person(int(frames[0]), smooth(bridged, rate), float(prominence(bridged, frame_size).sum()))
