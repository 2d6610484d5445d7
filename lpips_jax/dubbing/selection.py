"""Whose mouth is dubbed in which frame: people found and followed as a video plays, a second and a half behind it."""

import bisect
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.faces import detect, rotated_boxes, shots
from lpips_jax.faces.boxes import PATIENCE, SHORTEST_TRACK, prominence
from lpips_jax.faces.scan import STRIDE, scan_frames
from lpips_jax.faces.tracks import FaceTracker, GrowingTrack, settling_frames
from lpips_jax.media import ycbcr
from lpips_jax.media.playback import Shown
from lpips_jax.media.video_reader import VideoInfo

MOST_HELD = 512 << 20  # bytes of frames


class VisibleFace(NamedTuple):
  """Somebody in a frame.

  Attributes:
    who: all that is known of them so far.
    box: (5,) where their face is, smoothed; see `faces.rotated_boxes`.
    prominence: how large and central the face is from now on, as far as is known.
  """

  who: GrowingTrack
  box: np.ndarray
  prominence: float


Choose = Callable[[int, list[VisibleFace]], list[VisibleFace]]


def follow(
  frames: Iterable[Shown], find: detect.Detect, info: VideoInfo, choose: Choose
) -> Iterator[tuple[Shown, list[np.ndarray]]]:
  """Yields each frame with the boxes, (5,) each, of the faces to be dubbed in it.

  Faces are looked for at a stride, and in every frame where something unexpected happens. The frames of the next 1.3
  seconds are held back meanwhile, or fewer where those take too much memory: smoothing then sees less of what comes.

  Args:
    frames: of a video, in order.
    find: from `faces.detect.make_detector`.
    info: what `probe` says of the video.
    choose: picks of those who are present in a frame, by its number, who is dubbed.
  """
  meter = shots.ChangeMeter()
  looked = scan_frames(
    frames,
    lambda shown: meter(ycbcr.in_8_bits(shown.planes.y)),
    lambda shown: detect.in_planes(find, shown.planes),
    max(1, round(STRIDE * info.rate)),
  )
  rate, frame_size = float(info.rate), (info.width, info.height)
  held = max(
    1, min(settling_frames(rate), MOST_HELD // (info.width * info.height * 3 // 2 * info.colours.kind.itemsize))
  )
  crowd, known, waiting = FaceTracker(PATIENCE * rate), [], deque()
  number = -1
  for number, (shown, faces, cut) in enumerate(_with_cuts(looked)):
    if cut:
      crowd.cut()
    if faces is not None:
      known += crowd.see(number, faces)
    waiting.append(shown)
    if len(waiting) > held:
      now = number - held
      known = [who for who in known if who.frames[-1] >= now or who in crowd.present]
      yield waiting.popleft(), _chosen(now, number, known, rate, frame_size, choose)
  for now in range(number + 1 - len(waiting), number + 1):
    yield waiting.popleft(), _chosen(now, number, known, rate, frame_size, choose)


class FollowOne:
  """The most prominent person, or the one in some place from the left, followed until they have left for a second.

  Attributes:
    most: faces that were to be chosen from at once.
  """

  def __init__(self, from_left: int | None = None) -> None:
    self.most = 0
    self._from_left = from_left
    self._who: GrowingTrack | None = None

  def __call__(self, frame: int, present: list[VisibleFace]) -> list[VisibleFace]:
    self.most = max(self.most, len(present))
    same = [one for one in present if one.who is self._who]
    if same or not present or (self._who is not None and self._who.frames[-1] > frame):
      return same
    if self._from_left is None:
      one = max(present, key=lambda one: one.prominence)
    elif self._from_left < len(present):
      one = sorted(present, key=lambda one: one.box[0] + one.box[2])[self._from_left]
    else:
      return []
    self._who = one.who
    return [one]


class OnlyPerson:
  """Nobody but one person, known by where they were first seen."""

  def __init__(self, first: tuple) -> None:
    self._first = first

  def __call__(self, frame: int, present: list[VisibleFace]) -> list[VisibleFace]:
    return [one for one in present if first_sighting(one.who) == self._first]


def everybody(frame: int, present: list[VisibleFace]) -> list[VisibleFace]:
  """All faces are dubbed."""
  return present


def person_at(
  frames: Iterable[Shown], find: detect.Detect, info: VideoInfo, x: float, y: float, time: Fraction
) -> OnlyPerson:
  """Finds the person whose face is at a place, in pixels, in the frame shown at a time, in seconds.

  Raises:
    UserError: the video is shorter, or there is no face.
  """
  found: list[list[VisibleFace]] = []

  def note(frame: int, present: list[VisibleFace]) -> list[VisibleFace]:
    found.append(present)
    return []

  for shown, _ in follow(frames, find, info, note):
    if shown.time + 1 / info.rate > time:
      inside = [one for one in found[-1] if rotated_boxes.holds(one.box, x, y)]
      if inside:
        return OnlyPerson(first_sighting(min(inside, key=lambda one: _distance(one.box, x, y)).who))
      seen = '; '.join(','.join(f'{edge:.0f}' for edge in one.box[:4]) for one in found[-1]) or 'none'
      raise UserError(f'there is no face at {x:g},{y:g} after {float(time):g} s; faces (left,top,right,bottom): {seen}')
    found.clear()
  raise UserError(f'the video ends before {float(time):g} s, where --face_at looks for a face')


def first_sighting(who: GrowingTrack) -> tuple:
  """What tells a person from all others in a video, however often it is read."""
  return who.frames[0], *map(float, who.boxes[0])


def _with_cuts(looked: Iterable) -> Iterator[tuple[Shown, np.ndarray | None, bool]]:
  """Tells of each frame whether it begins a new shot, which shows a few frames later."""
  changes, waiting = [], deque()
  for shown, change, faces in looked:
    changes.append(change)
    waiting.append((shown, faces))
    if len(waiting) > shots.AROUND:
      yield *waiting.popleft(), shots.is_cut(changes, len(changes) - 1 - shots.AROUND)
  for k in range(len(changes) - len(waiting), len(changes)):
    yield *waiting.popleft(), shots.is_cut(changes, k)


def _chosen(
  now: int, newest: int, known: list[GrowingTrack], rate: float, frame_size: tuple[int, int], choose: Choose
) -> list[np.ndarray]:
  shortest = min(newest + 1, round(SHORTEST_TRACK * rate))
  present = []
  for who in known:
    box = who.box_at(now, rate) if who.frames[-1] - who.frames[0] + 1 >= shortest else None
    if box is not None:
      ahead = np.array(who.boxes[bisect.bisect_left(who.frames, now) :])
      present.append(VisibleFace(who, who.steady(box), float(prominence(ahead, frame_size).mean())))
  return [one.box for one in choose(now, present)]


def _distance(box: np.ndarray, x: float, y: float) -> float:
  return float(np.hypot((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y))
