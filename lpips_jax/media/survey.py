"""One look through a video: when its frames are shown, where it cuts, and where there are faces."""

import os
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from lpips_jax.cli import UserError
from lpips_jax.media import detect, shots, video
from lpips_jax.media.track import overlap

STRIDE = Fraction(3, 25)  # seconds from one look for faces to the next, while nothing unexpected happens
SURE = 0.7  # intersection over union of a face with the same one a stride earlier, below which all frames are looked at


@dataclass
class Survey:
  """What there is in a video.

  Attributes:
    info: size and frame rate.
    times: of the frames, in seconds of the file's clock.
    changes: of each frame, how much it differs from the one before (see `media.shots`).
    faces: for each frame (n, 5), left, top, right, bottom in pixels of the source and a score; None where there was no
      need to look.
  """

  info: video.VideoInfo
  times: list[Fraction] = field(default_factory=list)
  changes: list[float] = field(default_factory=list)
  faces: list[np.ndarray | None] = field(default_factory=list)

  @property
  def cuts(self) -> list[int]:
    """Numbers of the frames that begin a new shot."""
    return shots.find_cuts(self.changes)


def survey(path: str | os.PathLike[str], find: detect.Detect, stride: Fraction = STRIDE) -> Survey:
  """Reads a video once, on reduced frames.

  Faces are looked for every `stride`; the frames between are looked at, too, when a face has come, gone or moved far,
  and where the picture may have cut.

  Args:
    path: the video.
    find: from `media.detect.make_detector`.
    stride: in seconds; 0 looks at every frame.

  Raises:
    UserError: the file cannot be read, or has no picture in it.
  """
  result = Survey(video.probe(path))
  every = max(1, round(stride * result.info.rate))
  scale = max(1.0, max(result.info.width, result.info.height) / detect.LONGEST_SIDE)
  meter = shots.ChangeMeter()
  waiting: list[np.ndarray] = []  # the frames since the last look

  def look(frame: np.ndarray) -> np.ndarray:
    return find(frame) * [scale, scale, scale, scale, 1]

  def look_back() -> None:
    for place, frame in enumerate(waiting, start=len(result.faces) - len(waiting)):
      result.faces[place] = look(frame)

  before = None  # the faces at the last regular look
  for time, frame in video.read_timed(path, detect.LONGEST_SIDE):
    result.times.append(time)
    result.changes.append(meter(frame))
    may_cut = result.changes[-1] >= shots.LEAST_CHANGE
    if before is not None and not may_cut and len(waiting) + 1 < every:
      result.faces.append(None)
      waiting.append(frame)
      continue
    now = look(frame)
    if may_cut or not _as_expected(before, now):
      look_back()
    result.faces.append(now)
    before, waiting = now, []
  look_back()
  if not result.times:
    raise UserError(f'{path} has no frame that can be decoded')
  return result


def _as_expected(before: np.ndarray | None, now: np.ndarray) -> bool:
  """Whether the same faces are nearly where they were."""
  if before is None or len(before) != len(now):
    return before is None
  return all(overlap(face[:4], now[:, :4]).max() >= SURE for face in before)
