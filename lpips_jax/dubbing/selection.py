"""Selection of the faces to be dubbed: people are followed as a video plays, about a second and a half behind it.

A rule of selection is a `Choose`; `chosen_by` picks the one that the options of a dub ask for.
"""

import bisect
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.dubbing.options import Options
from lpips_jax.faces import detect, rotated_boxes, shots
from lpips_jax.faces.boxes import MAX_ABSENCE_SECONDS, MIN_TRACK_SECONDS, prominence
from lpips_jax.faces.scan import DETECTION_STRIDE, scan_frames
from lpips_jax.faces.tracks import FaceTracker, GrowingTrack, settling_frames
from lpips_jax.media import ycbcr
from lpips_jax.media.playback import PlayedFrame, play
from lpips_jax.media.video_reader import VideoInfo

MAX_DELAYED_BYTES = 512 << 20  # of the frames that are held back


class VisibleFace(NamedTuple):
  """A face in one frame.

  Attributes:
    track: all that is known of the person so far.
    box: (5,), smoothed; see `faces.rotated_boxes`.
    prominence: how large and central the face is from now on, as far as is known.
  """

  track: GrowingTrack
  box: np.ndarray
  prominence: float


Face = int | tuple[float, float, float]  # as turns name somebody: a number from the left, or x, y and a time in seconds

# Given a frame's number and the faces visible in it, returns the faces to dub.
Choose = Callable[[int, list[VisibleFace]], list[VisibleFace]]


def follow(
  frames: Iterable[PlayedFrame], find: detect.Detect, info: VideoInfo, choose: Choose
) -> Iterator[tuple[PlayedFrame, list[np.ndarray]]]:
  """Yields each frame with the boxes, (5,) each, of the faces to be dubbed in it.

  Faces are detected at a stride, and in every frame where something unexpected happens. The frames of the next 1.3
  seconds are held back meanwhile, or fewer where those take too much memory: smoothing then looks less far ahead.

  Args:
    frames: of a video, in order.
    find: from `faces.detect.make_detector`.
    info: what `probe` says of the video.
    choose: decides who of the people visible in a frame is dubbed.
  """
  meter = shots.ChangeMeter()
  scanned = scan_frames(
    frames,
    lambda shown: meter(ycbcr.in_8_bits(shown.planes.y)),
    lambda shown: detect.in_planes(find, shown.planes),
    max(1, round(DETECTION_STRIDE * info.rate)),
  )
  rate, frame_size = float(info.rate), (info.width, info.height)
  frame_bytes = info.width * info.height * 3 // 2 * info.colours.kind.itemsize
  delay = max(1, min(settling_frames(rate), MAX_DELAYED_BYTES // frame_bytes))
  tracker = FaceTracker(MAX_ABSENCE_SECONDS * rate)
  tracks: list[GrowingTrack] = []
  waiting: deque[PlayedFrame] = deque()
  number = -1
  for number, (shown, faces, cut) in enumerate(_with_cuts(scanned)):
    if cut:
      tracker.cut()
    if faces is not None:
      tracks += tracker.see(number, faces)
    waiting.append(shown)
    if len(waiting) > delay:
      now = number - delay
      tracks = [track for track in tracks if track.frames[-1] >= now or track in tracker.present]
      yield waiting.popleft(), _chosen_boxes(now, number, tracks, rate, frame_size, choose)
  for now in range(number + 1 - len(waiting), number + 1):
    yield waiting.popleft(), _chosen_boxes(now, number, tracks, rate, frame_size, choose)


def chosen_by(options: Options, frames: Iterable[PlayedFrame], find: detect.Detect, info: VideoInfo) -> Choose:
  """Returns the rule that the options of a dub ask for; by default the most prominent person is dubbed.

  Args:
    options: `all_faces`, `face_at` or `face_index`.
    frames: of the video, which `face_at` looks into.
    find: the face detector.
    info: from `probe`, about the video.

  Raises:
    UserError: there is no face at `face_at`.
  """
  if options.all_faces:
    return everybody
  if options.face_at is not None:
    x, y, seconds = options.face_at
    begin = float(info.part[0])  # of the part of the video that is played
    if seconds < begin:
      raise UserError(f'face_at looks at {seconds:g} s, before face_part begins', 'face_at', 'face_part')
    return person_at(frames, find, info, x, y, seconds - begin)
  return FollowOne(options.face_index)


class FollowOne:
  """Chooses one person, and stays with them until they have been out of sight for a second.

  Args:
    from_left: the number of the face in the first frame, from the left; by default the most prominent one.

  Attributes:
    most_visible: the largest number of faces that were visible at once.
  """

  def __init__(self, from_left: int | None = None) -> None:
    self.most_visible = 0
    self._from_left = from_left
    self._followed: GrowingTrack | None = None

  def __call__(self, frame: int, visible: list[VisibleFace]) -> list[VisibleFace]:
    self.most_visible = max(self.most_visible, len(visible))
    same = [face for face in visible if face.track is self._followed]
    if same or not visible or (self._followed is not None and self._followed.frames[-1] > frame):
      return same
    if self._from_left is None:
      chosen = max(visible, key=lambda face: face.prominence)
    elif self._from_left < len(visible):
      chosen = sorted(visible, key=lambda face: face.box[0] + face.box[2])[self._from_left]
    else:
      return []
    self._followed = chosen.track
    return [chosen]


class OnlyPerson:
  """Chooses one person wherever they are visible, and nobody else.

  Args:
    first: the person's `first_sighting`.
  """

  def __init__(self, first: tuple[float, ...]) -> None:
    self._first = first

  def __call__(self, frame: int, visible: list[VisibleFace]) -> list[VisibleFace]:
    return [face for face in visible if first_sighting(face.track) == self._first]


class TurnTakers:
  """Chooses everybody who has turns.

  Args:
    faces: the people, as turns name them.
    film: the video.
    info: from `probe`, about the film.
    find: the face detector.

  Raises:
    UserError: on construction, when there is no face at a place.
  """

  def __init__(self, faces: Sequence[Face], film: PathLike, info: VideoInfo, find: detect.Detect) -> None:
    self._faces = faces
    self._choices: list[Choose] = [
      FollowOne(each) if isinstance(each, int) else person_at(play(film, info), find, info, *each) for each in faces
    ]
    self._voices: list[list[int]] = []  # of each frame
    self._met: set[int] = set()

  def __call__(self, frame: int, visible: list[VisibleFace]) -> list[VisibleFace]:
    chosen: dict[int, tuple[int, VisibleFace]] = {}  # by the identity of the track: nobody has two voices
    for voice, choose in enumerate(self._choices):
      for face in choose(frame, visible):
        chosen.setdefault(id(face.track), (voice, face))
    self._met |= {voice for voice, _ in chosen.values()}
    del self._voices[frame:]
    self._voices.append([voice for voice, _ in chosen.values()])
    return [face for _, face in chosen.values()]

  def voices(self, frame: int) -> list[int]:
    """Returns the voices, indices into `faces`, of those who were chosen in a frame, in their order."""
    return self._voices[frame]

  def check(self) -> None:
    """Raises UserError if somebody who has turns was never seen."""
    for voice, face in enumerate(self._faces):
      if voice not in self._met:
        raise UserError(f'turns: the film shows no face {face} of its own: 0 is the leftmost', 'turns')


def everybody(frame: int, visible: list[VisibleFace]) -> list[VisibleFace]:
  """Chooses all faces."""
  return visible


def person_at(
  frames: Iterable[PlayedFrame], find: detect.Detect, info: VideoInfo, x: float, y: float, time: float | Fraction
) -> OnlyPerson:
  """Finds the person whose face is at a point, in pixels, of the frame shown at a time, in seconds.

  Raises:
    UserError: the video is shorter, or there is no face.
  """
  visible_now: list[VisibleFace] = []

  def note(frame: int, visible: list[VisibleFace]) -> list[VisibleFace]:
    visible_now[:] = visible
    return []

  for shown, _ in follow(frames, find, info, note):
    if shown.time + 1 / info.rate > time:
      inside = [face for face in visible_now if rotated_boxes.holds(face.box, x, y)]
      if inside:
        return OnlyPerson(first_sighting(min(inside, key=lambda face: _distance(face.box, x, y)).track))
      seen = '; '.join(','.join(f'{edge:.0f}' for edge in face.box[:4]) for face in visible_now) or 'none'
      raise UserError(f'there is no face at {x:g},{y:g} after {float(time):g} s; faces (left,top,right,bottom): {seen}')
  raise UserError(f'the video ends before {float(time):g} s, where face_at looks for a face', 'face_at')


def first_sighting(track: GrowingTrack) -> tuple[float, ...]:
  """Returns the first frame and box of a track: the same whenever the video is read, and of no other person."""
  return track.frames[0], *map(float, track.boxes[0])


def _with_cuts(
  scanned: Iterable[tuple[PlayedFrame, float, np.ndarray | None]],
) -> Iterator[tuple[PlayedFrame, np.ndarray | None, bool]]:
  """Replaces the change of each frame by whether it begins a new shot, which is known a few frames later."""
  changes: list[float] = []
  waiting: deque[tuple[PlayedFrame, np.ndarray | None]] = deque()
  for shown, change, faces in scanned:
    changes.append(change)
    waiting.append((shown, faces))
    if len(waiting) > shots.CONTEXT_FRAMES:
      yield *waiting.popleft(), shots.is_cut(changes, len(changes) - 1 - shots.CONTEXT_FRAMES)
  for k in range(len(changes) - len(waiting), len(changes)):
    yield *waiting.popleft(), shots.is_cut(changes, k)


def _chosen_boxes(
  now: int, newest: int, tracks: list[GrowingTrack], rate: float, frame_size: tuple[int, int], choose: Choose
) -> list[np.ndarray]:
  """Returns the boxes to be dubbed in frame `now`, of a video that has been read up to frame `newest`."""
  min_frames = min(newest + 1, round(MIN_TRACK_SECONDS * rate))
  visible = []
  for track in tracks:
    box = track.box_at(now, rate) if track.frames[-1] - track.frames[0] + 1 >= min_frames else None
    if box is not None:
      ahead = np.array(track.boxes[bisect.bisect_left(track.frames, now) :])
      visible.append(VisibleFace(track, track.steady(box), float(prominence(ahead, frame_size).mean())))
  return [face.box for face in choose(now, visible)]


def _distance(box: np.ndarray, x: float, y: float) -> float:
  return float(np.hypot((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y))
