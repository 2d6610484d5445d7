"""Playing a video under a dub: frames as codecs hold them, with their times, once or there and back (ping-pong)."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.reformatter import ColorRange, Colorspace

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.media import frames, ycbcr
from lpips_jax.media.containers import open_media, warn_once
from lpips_jax.media.ffmpeg import bits_per_sample, plane_samples
from lpips_jax.media.orientation import UPRIGHT, Orientation, swapped, upright
from lpips_jax.media.video_reader import EXACT_INTERPOLATION, VideoInfo
from lpips_jax.media.ycbcr import Colours, Planes

CHUNK_BYTES = 64 << 20  # of decoded frames held while a video is read backwards
MIN_SEEK = Fraction(1)  # seconds: frames before a later part are sought, not decoded, up to a second before it
NATIVE_FORMATS = 'yuv420p', 'yuvj420p', 'yuv420p10le'


@dataclass(frozen=True, eq=False)
class PlayedFrame:
  """A frame of a video that is played.

  Attributes:
    index: its number among the frames that are played forwards; one that is shown for long is played several times.
    time: seconds after the first frame: a multiple of 1 / `VideoInfo.rate`, or of `VideoInfo.tick`.
    planes: the picture, upright; a copy, which may be changed.
  """

  index: int
  time: Fraction
  planes: Planes


def play(path: PathLike, info: VideoInfo) -> Iterator[PlayedFrame]:
  """Yields the frames of a video or a still image once, in the order in which they are shown.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    info: from `probe`; of a part of the video, only its frames are played.

  Raises:
    UserError: the file cannot be read, or has no picture in it or in the part.
  """
  for index, (time, source) in enumerate(_played(path, info)):
    yield PlayedFrame(index, time, to_planes(source, info))


def play_there_and_back(path: PathLike, info: VideoInfo) -> Iterator[PlayedFrame]:
  """Plays a video forwards, then backwards, and so on for ever: 0 1 2 3 2 1 0 1 ...

  Each frame is shown for as long as in the video. On the way back a bounded number of frames is held, which are decoded
  again from the key frame before them.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    info: from `probe`.

  Raises:
    UserError: the file cannot be read, or has no picture in it.
  """
  first = None
  times: list[Fraction] = []
  clocks: list[int | None] = []  # times of the frames in the stream's own units; None if the file does not say
  for index, (time, source) in enumerate(_played(path, info)):
    times.append(time)
    clocks.append(source.frame.pts)
    planes = to_planes(source, info)
    first = planes.copy() if index == 0 else first
    yield PlayedFrame(index, time, planes)
  if first is None:
    raise UserError(f'{path} has no frame that can be decoded')
  time = times[-1]
  if len(times) == 1:
    while True:
      time += 1 / info.rate
      yield PlayedFrame(0, time, first.copy())
  last = len(times) - 1
  while True:
    for index, planes in _there_and_back_once(path, info, clocks, first.samples.nbytes):
      time += abs(times[index] - times[last])
      last = index
      yield PlayedFrame(index, time, planes)


def to_planes(source: frames.DecodedFrame, info: VideoInfo) -> Planes:
  """Returns a decoded frame as 4:2:0 in the colours of `info`, upright; a copy."""
  frame = source.frame
  if frame.format.name not in NATIVE_FORMATS or bits_per_sample(frame) != info.colours.depth or info.still:
    frame = _reformatted(frame, info.colours)
  planes = ycbcr.empty(frame.height, frame.width, info.colours)
  halves = (frame.height + 1) // 2, (frame.width + 1) // 2
  sizes = (frame.height, frame.width), halves, halves
  for k, (place, (rows, columns)) in enumerate(zip((planes.y, *planes.cb_cr), sizes, strict=True)):
    place[:rows, :columns] = plane_samples(frame, k)
    place[rows:], place[:, columns:] = place[rows - 1 : rows], place[:, columns - 1 : columns]
  return planes if source.orientation == UPRIGHT else _upright(planes, source.orientation)


def _played(path: PathLike, info: VideoInfo) -> Iterator[tuple[Fraction, frames.DecodedFrame]]:
  """Yields the frames of a dub, each after the seconds since the first: those of the part played, and their repeats."""
  begin, end = info.part
  start: Fraction | None = None
  for time, source in _shown(path, info, begin):
    if end is not None and time >= end:
      break
    if time >= begin:
      start = time if start is None else start
      yield time - start, source
  if start is None and begin:
    raise UserError(f'{path} has no frame from {float(begin):g} s on, where face_part begins', 'face_part')


def _shown(path: PathLike, info: VideoInfo, begin: Fraction) -> Iterator[tuple[Fraction, frames.DecodedFrame]]:
  """Yields frames and their repeats, each after the seconds since the first frame of the file; see `_decoded_from`."""
  clock = info.tick or 1 / info.rate
  first: Fraction | None = None
  last: tuple[Fraction, frames.DecodedFrame] | None = None
  for source, first in _decoded_from(path, info, begin):
    if last is None:
      _warn_of_losses(path, source.frame, info)
    time = source.time - first
    if info.tick is None:
      time = round(time * info.rate) / info.rate
      time = time if last is None or time > last[0] else last[0] + 1 / info.rate
    if last is not None:
      yield from ((again, last[1]) for again in frames.repeat_times(last[0], time, clock))
    last = time, source
    yield last
  if last is not None and not info.still:
    end = last[0] + (last[1].frame.duration or 0) * Fraction(last[1].frame.time_base or 0)
    yield from ((again, last[1]) for again in frames.repeat_times(last[0], end, clock))


def _decoded_from(path: PathLike, info: VideoInfo, begin: Fraction) -> Iterator[tuple[frames.DecodedFrame, Fraction]]:
  """Yields decoded frames, and with each the time of the file's first frame.

  They start before `begin`, in seconds after that frame: at a key frame if seeking works in this file, else at the
  first frame.
  """
  first: Fraction | None = None
  with open_media(path) as container:
    stream = frames.picture_stream(container, path)
    for source in frames.decoded_frames(container, stream, path, (info.width, info.height)):
      first = source.time if first is None else first
      if begin > MIN_SEEK and source.frame.pts is not None:
        break
      yield source, first
    else:
      return
  sought = False
  with open_media(path) as container:
    stream = frames.picture_stream(container, path)
    container.seek(math.floor((first + begin - MIN_SEEK) / Fraction(stream.time_base or 1)), stream=stream)
    for source in frames.decoded_frames(container, stream, path, (info.width, info.height)):
      if not sought and source.time > first + begin:
        break
      sought = True
      yield source, first
  if not sought:
    yield from _decoded_from(path, info, Fraction(0))


def _warn_of_losses(path: PathLike, frame: av.VideoFrame, info: VideoInfo) -> None:
  bits, form, half = bits_per_sample(frame), frame.format, (-(-frame.width // 2), -(-frame.height // 2))
  if bits > info.colours.depth:
    warn_once(f'{path} has {bits} bits a sample, of which the dub has {info.colours.depth}')
  finer = form.chroma_width(frame.width) > half[0] or form.chroma_height(frame.height) > half[1]
  if finer and len(form.components) > 2 and not info.still:
    warn_once(f'{path} is {form.name}: the dub has its colours at half the resolution, as most videos have')


def _there_and_back_once(
  path: PathLike, info: VideoInfo, clocks: Sequence[int | None], frame_bytes: int
) -> Iterator[tuple[int, Planes]]:
  """Yields the frames from the last but one back to the second, and forwards again from the first to the last."""
  chunk = max(1, CHUNK_BYTES // frame_bytes)
  for end in range(len(clocks) - 1, 1, -chunk):
    start = max(1, end - chunk)
    found = _read_range(path, info, clocks, start, end)
    for index in range(end - 1, start - 1, -1):
      yield index, found.pop()
  for index, shown in enumerate(play(path, info)):
    if index == len(clocks):
      break
    yield index, shown.planes


def _read_range(path: PathLike, info: VideoInfo, clocks: Sequence[int | None], start: int, end: int) -> list[Planes]:
  """Returns frames start..end-1, from the nearest key frame if seeking works in this file, else from the beginning."""
  known = [clock for clock in clocks if clock is not None]
  if len(known) == len(clocks):
    found = _read_from_key_frame(path, info, known, start, end)
    if len(found) == end - start:
      return found
  return [to_planes(source, info) for _, source in itertools.islice(_played(path, info), start, end)]


def _read_from_key_frame(path: PathLike, info: VideoInfo, clocks: Sequence[int], start: int, end: int) -> list[Planes]:
  """Reads the same, or too few where seeking fails. It begins one frame early, which deinterlacing needs."""
  before = max((clock for clock in clocks[:start] if clock < clocks[start]), default=clocks[start])
  wanted = Counter(clocks[start:end])
  found: list[Planes] = []
  with open_media(path) as container:
    stream = frames.picture_stream(container, path)
    container.seek(before, stream=stream)
    for number, source in enumerate(frames.decoded_frames(container, stream, path, (info.width, info.height))):
      clock = source.frame.pts
      if clock is None or clock > clocks[end - 1] or (number == 0 and clock > before):
        break
      found += [to_planes(source, info) for _ in range(wanted[clock])]
  return found


def _reformatted(frame: av.VideoFrame, colours: Colours) -> av.VideoFrame:
  range_ = ColorRange.JPEG if colours.full_range else ColorRange.MPEG
  full = frame.color_range == ColorRange.JPEG or frame.format.is_rgb or frame.format.name.startswith('yuvj')
  matrix = None if int(frame.colorspace) == colours.matrix and not frame.format.is_rgb else Colorspace.ITU601
  return frame.reformat(
    format=ycbcr.FORMATS[colours.depth],
    dst_colorspace=matrix,
    interpolation=EXACT_INTERPOLATION,
    src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
    dst_color_range=range_,
  )


def _upright(planes: Planes, orientation: Orientation) -> Planes:
  height, width = planes.size
  turned = ycbcr.empty(*swapped(width, height, orientation)[::-1], planes.colours)
  for source, place in zip((planes.y, *planes.cb_cr), (turned.y, *turned.cb_cr), strict=True):
    place[:] = upright(source, orientation)
  return turned
