"""One person followed through a video: from the faces found in each frame to one smooth box a frame."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

LONGEST_GAP = 0.5  # seconds without the face that are bridged; longer ones are left alone
PATIENCE = 1.0  # seconds without the face before somebody else is followed
SHORTEST_TRACK = 0.2  # seconds a face must have been found for, so that what a detector imagines is not dubbed
SAME_FACE = 0.2  # intersection over union with where the face was last seen
# Widths of the centred Gaussians, in seconds. A choice: sizes change more slowly than places, so they bear more.
CENTRE_BLUR = 0.08
SIZE_BLUR = 0.24


def track(detections: Iterable[np.ndarray], rate: Fraction | float, frame_size: tuple[int, int]) -> np.ndarray:
  """Returns the box of one person in each frame.

  The first is the largest and most central face; after that, whoever overlaps the last box. When that person has been
  out of sight for a second (or since a cut), the most prominent face is followed, from its first appearance on.

  Args:
    detections: for each frame, (n, 5): left, top, right, bottom, score, in pixels.
    rate: frames a second.
    frame_size: (width, height) of the frames in pixels.

  Returns:
    (T, 4) float64 left, top, right, bottom, smoothed in time without lag; NaN in frames to be left alone.
  """
  detections = list(detections)
  boxes, owners = _follow(detections, float(rate), frame_size)
  tracks = np.full_like(boxes, np.nan)
  shortest = min(len(boxes), round(SHORTEST_TRACK * float(rate)))
  for owner in range(owners.max(initial=-1) + 1):
    frames = np.flatnonzero(owners == owner)
    if len(frames) < shortest:
      continue
    for run in _runs(frames, LONGEST_GAP * float(rate)):
      everything = np.arange(run[0], run[-1] + 1)
      bridged = np.stack([np.interp(everything, run, boxes[run, edge]) for edge in range(4)], axis=1)
      tracks[everything] = smooth(bridged, rate)
  return tracks


def smooth(boxes: np.ndarray, rate: Fraction | float) -> np.ndarray:
  """Smooths boxes in time: symmetric, so that they neither lag nor lead, and exact for a steady movement.

  Args:
    boxes: (T, 4) left, top, right, bottom, without gaps.
    rate: frames a second.

  Returns:
    (T, 4) float64.
  """
  centres = _blur((boxes[:, :2] + boxes[:, 2:]) / 2, CENTRE_BLUR * float(rate))
  halves = _blur((boxes[:, 2:] - boxes[:, :2]) / 2, SIZE_BLUR * float(rate))
  return np.concatenate([centres - halves, centres + halves], axis=1)


def overlap(box: Sequence[float], others: np.ndarray) -> np.ndarray:
  """Returns the intersection over union of one box, (4,), with each of the others, (n, 4): (n,) in [0, 1]."""
  box = np.asarray(box, np.float64)
  sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
  shared = np.prod(np.clip(sides, 0, None), axis=1)
  return shared / np.maximum(np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - shared, 1e-9)


def prominence(boxes: np.ndarray, frame_size: tuple[int, int]) -> np.ndarray:
  """Returns the area of each box, (n, 4), of which one at the edge of a frame of (width, height) counts half: (n,)."""
  areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
  off_centre = np.abs((boxes[:, :2] + boxes[:, 2:]) / np.array(frame_size, np.float64) - 1).max(axis=1)
  return areas * (1 - 0.5 * np.clip(off_centre, 0, 1))


def _follow(detections: list[np.ndarray], rate: float, frame_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
  """Returns the chosen box of each frame, (T, 4), and whose it is: 0, 1, ... in the order followed, -1 for nobody's."""
  boxes = np.full((len(detections), 4), np.nan)
  owners = np.full(len(detections), -1)
  last = None  # the frame in which the followed face was last seen
  for now, faces in enumerate(detections):
    if not len(faces):
      continue
    if last is not None:
      face = _matching(boxes[last], faces)
      if face is None and now - last <= PATIENCE * rate:
        continue
      if face is not None:
        boxes[now], owners[now], last = face, owners[last], now
        continue
    boxes[now], owners[now] = _most_prominent(faces, frame_size), owners.max() + 1
    for before in range(now - 1, -1 if last is None else last, -1):
      face = _matching(boxes[before + 1], detections[before])
      if face is None:
        break
      boxes[before], owners[before] = face, owners[now]
    last = now
  return boxes, owners


def _matching(box: np.ndarray, faces: np.ndarray) -> np.ndarray | None:
  if not len(faces):
    return None
  shared = overlap(box, faces[:, :4])
  return faces[shared.argmax(), :4] if shared.max() >= SAME_FACE else None


def _most_prominent(faces: np.ndarray, frame_size: tuple[int, int]) -> np.ndarray:
  return faces[np.argmax(prominence(faces[:, :4], frame_size)), :4]


def _runs(frames: np.ndarray, longest_gap: float) -> list[np.ndarray]:
  """Splits rising frame numbers wherever `longest_gap` or more frames are missing between two of them."""
  return np.split(frames, np.flatnonzero(np.diff(frames) - 1 >= longest_gap) + 1)


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
  """Gaussian along time; the ends are continued by point reflection, which keeps a steady movement steady."""
  reach = min(int(np.ceil(3 * sigma)), len(values) - 1)
  if reach < 1:
    return values.astype(np.float64)
  kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
  before = 2 * values[:1] - values[reach:0:-1]
  after = 2 * values[-1:] - values[-2 : -reach - 2 : -1]
  padded = np.concatenate([before, values, after])
  return np.stack([np.convolve(column, kernel / kernel.sum(), 'valid') for column in padded.T], axis=1)
