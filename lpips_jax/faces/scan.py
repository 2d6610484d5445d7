"""A scan of a video, in one pass: the times of its frames, its cuts, and the faces in it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.faces import detect, shots
from lpips_jax.faces.boxes import overlap
from lpips_jax.media import video_reader

DETECTION_STRIDE = Fraction(3, 25)  # seconds from one detection to the next, while nothing unexpected happens
MAX_STILL_SECONDS = 0.15  # a frame may stand this long; longer, the picture would rest while speech goes on
CALM_IOU = 0.9  # where each face overlaps itself a stride earlier by this much, the stride is doubled
SURPRISE_IOU = 0.7  # where one overlaps itself by less, the skipped frames are looked at, too

Frame = TypeVar('Frame')


@dataclass
class VideoScan:
  """The result of `scan_video`.

  Attributes:
    info: size and frame rate of the video.
    times: when each frame is shown, in seconds of the file's clock.
    changes: how much each frame differs from the one before; see `faces.shots`.
    faces: for each frame (n, 6), left, top, right, bottom in pixels of the source, a score, and the roll; None where
      there was no need to look.
  """

  info: video_reader.VideoInfo
  times: list[Fraction] = field(default_factory=list)
  changes: list[float] = field(default_factory=list)
  faces: list[np.ndarray | None] = field(default_factory=list)

  @property
  def cuts(self) -> list[int]:
    """Numbers of the frames that begin a new shot."""
    return shots.find_cuts(self.changes)


def scan_video(path: PathLike, find: detect.Detect, stride: Fraction = DETECTION_STRIDE) -> VideoScan:
  """Scans a video once, on reduced frames.

  Faces are detected every `stride`. The frames between are looked at, too, when a face has come, gone or moved far, and
  where the picture may have cut.

  Args:
    path: the video.
    find: from `faces.detect.make_detector`.
    stride: in seconds; 0 looks at every frame.

  Raises:
    UserError: the file cannot be read, or has no picture in it.
  """
  result = VideoScan(video_reader.probe(path))
  every = max(1, round(stride * result.info.rate))
  find = at_source_scale(find, result.info)
  frames = video_reader.read_timed(path, detect.DETECTION_SIDE)
  for (time, _), change, faces in scan_frames(frames, _change_or_jump(), lambda timed: find(timed[1]), every):
    result.times.append(time)
    result.changes.append(change)
    result.faces.append(faces)
  if not result.times:
    raise UserError(f'{path} has no frame that can be decoded')
  return result


def scan_frames(
  frames: Iterable[Frame], change_of: Callable[[Frame], float], find: Callable[[Frame], np.ndarray], every: int
) -> Iterator[tuple[Frame, float, np.ndarray | None]]:
  """Yields each frame with its change from the one before, and its faces, or None if there was no need to look.

  Args:
    frames: of a video, in order.
    change_of: measures how much a frame differs from the one before, as `shots.ChangeMeter` does.
    find: returns the faces of a frame, (n, 6).
    every: frames from one detection to the next while nothing unexpected happens, and half as many detections while
      faces hardly move. Results come that many frames late.
  """
  before: np.ndarray | None = None  # the faces at the last regular detection
  waiting: list[tuple[Frame, float]] = []  # the frames since, with their changes
  stride = every
  for frame in frames:
    change = change_of(frame)
    may_cut = change >= shots.MIN_CUT_CHANGE
    if before is not None and not may_cut and len(waiting) + 1 < stride:
      waiting.append((frame, change))
      continue
    now = find(frame)
    unexpected = may_cut or not _alike(before, now, SURPRISE_IOU)
    stride = 2 * every if _alike(before, now, CALM_IOU) else every
    for passed, its_change in waiting:
      yield passed, its_change, find(passed) if unexpected else None
    yield frame, change, now
    before, waiting = now, []
  for passed, its_change in waiting:
    yield passed, its_change, find(passed)


def at_source_scale(find: detect.Detect, info: video_reader.VideoInfo) -> detect.Detect:
  """Returns a detector for frames reduced to `detect.DETECTION_SIDE`, whose boxes are in pixels of the source."""
  scale = max(1.0, max(info.width, info.height) / detect.DETECTION_SIDE)

  def at_scale(frame: np.ndarray) -> np.ndarray:
    faces = find(frame)
    return faces * np.array([scale] * 4 + [1] * (faces.shape[1] - 4))

  return at_scale


def _change_or_jump() -> Callable[[tuple[Fraction, np.ndarray]], float]:
  """Returns a meter of the change from one timed frame to the next: the largest where the clock jumps."""
  meter = shots.ChangeMeter()
  last: Fraction | None = None

  def change_of(timed: tuple[Fraction, np.ndarray]) -> float:
    nonlocal last
    time, frame = timed
    jumps = last is not None and time - last > MAX_STILL_SECONDS
    last = time
    return max(meter(frame), shots.MAX_CHANGE if jumps else 0.0)

  return change_of


def _alike(before: np.ndarray | None, now: np.ndarray, min_iou: float) -> bool:
  """Returns whether all faces are where they were, by intersection over union; True for the first frame."""
  if before is None or len(before) != len(now):
    return before is None
  return all(overlap(face[:4], now[:, :4]).max() >= min_iou for face in before)
