"""A video as it is played under a dub: frames as codecs hold them, with their times, there and back for ever."""

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from lpips_jax.cli import UserError
from lpips_jax.media import ycbcr
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.video import EXACT, VideoInfo, picture, timed
from lpips_jax.media.ycbcr import Colours, Planes

CHUNK_BYTES = 64 << 20  # of decoded frames held while a video is read backwards
NATIVE_FORMATS = 'yuv420p', 'yuvj420p'
ROTATIONS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


class Shown(NamedTuple):
  """A frame that is played.

  Attributes:
    index: which frame of the source it is.
    time: when it is shown, in seconds from the first on: a multiple of 1 / `VideoInfo.rate`, or of `VideoInfo.tick`.
    planes: the picture, turned as the file asks for. Whoever changes it changes it for nobody else.
  """

  index: int
  time: Fraction
  planes: Planes


def play(path: str | os.PathLike[str], info: VideoInfo) -> Iterator[Shown]:
  """Yields the frames of a video or a still image once, in the order of their showing.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    info: what `probe` says of it. Frames of another size are brought to the size of the first.

  Raises:
    UserError: the file cannot be read, or has no picture in it.
  """
  for index, (time, _, frame) in enumerate(_decoded(path, info)):
    yield Shown(index, time, to_planes(frame, info))


def play_there_and_back(path: str | os.PathLike[str], info: VideoInfo) -> Iterator[Shown]:
  """Like `play`, then backwards, and so on for ever: 0 1 2 3 2 1 0 1 ...; each frame stands as long as it ever does.

  Going backwards it holds a bounded number of frames, decoded anew from the key frame before them.
  """
  first = None
  times: list[Fraction] = []
  clocks: list[int | None] = []  # of the frames, in the stream's own units; None where the file does not say
  for index, (time, clock, frame) in enumerate(_decoded(path, info)):
    times.append(time)
    clocks.append(clock)
    planes = to_planes(frame, info)
    first = planes.copy() if index == 0 else first
    yield Shown(index, time, planes)
  if first is None:
    raise UserError(f'{path} has no frame that can be decoded')
  time = times[-1]
  if len(times) == 1:
    while True:
      time += 1 / info.rate
      yield Shown(0, time, first.copy())
  last = len(times) - 1
  while True:
    for index, planes in _there_and_back_once(path, info, clocks, first.samples.nbytes):
      time += abs(times[index] - times[last])
      last = index
      yield Shown(index, time, planes)


def to_planes(frame: av.VideoFrame, info: VideoInfo) -> Planes:
  """Returns a decoded frame as 4:2:0 of the size and colours that `info` names, turned upright; a copy."""
  quarters = round(frame.rotation / 90) % 4  # counter-clockwise, as FFmpeg counts
  width, height = (info.width, info.height)[:: -1 if quarters % 2 else 1]
  if frame.format.name not in NATIVE_FORMATS or (frame.width, frame.height) != (width, height) or info.still:
    frame = _reformatted(frame, width, height, info.colours)
  planes = ycbcr.empty(height, width, info.colours)
  halves = (height + 1) // 2, (width + 1) // 2
  sizes = (height, width), halves, halves
  for place, plane, (rows, columns) in zip((planes.y, *planes.cb_cr), frame.planes, sizes, strict=True):
    place[:rows, :columns] = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:rows, :columns]
    place[rows:], place[:, columns:] = place[rows - 1 : rows], place[:, columns - 1 : columns]
  return _turned(planes, quarters) if quarters else planes


def _decoded(path: str | os.PathLike[str], info: VideoInfo) -> Iterator[tuple[Fraction, int | None, av.VideoFrame]]:
  """Yields frames after the seconds since the first, and after their times in the stream's own units."""
  with open_media(path) as container:
    stream = picture(container, path)
    first = last = None
    for clock, frame in timed(decode(container, stream), stream):
      first = clock if first is None else first
      time = clock - first
      if info.tick is None:
        time = round(time * info.rate) / info.rate
        time = time if last is None or time > last else last + 1 / info.rate
      last = time
      yield time, frame.pts, frame


def _there_and_back_once(
  path: str | os.PathLike[str], info: VideoInfo, clocks: Sequence[int | None], frame_bytes: int
) -> Iterator[tuple[int, Planes]]:
  """Yields from the last frame but one down to the second, and up again to the last."""
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


def _read_range(
  path: str | os.PathLike[str], info: VideoInfo, clocks: Sequence[int | None], start: int, end: int
) -> list[Planes]:
  """Returns frames start..end-1, from the nearest key frame if seeking works in this file, else from the beginning."""
  with open_media(path) as container:
    stream = picture(container, path)
    if clocks[start] is not None:
      container.seek(clocks[start], stream=stream)
      frames = decode(container, stream)
      first = next(frames, None)
      if first is not None and first.pts is not None and first.pts <= clocks[start]:
        found = [to_planes(frame, info) for frame in _between(first, frames, clocks[start], clocks[end - 1])]
        if len(found) == end - start:
          return found
  found = []
  for index, (_, _, frame) in enumerate(_decoded(path, info)):
    if index >= end:
      break
    if index >= start:
      found.append(to_planes(frame, info))
  return found


def _between(first: av.VideoFrame, rest: Iterator[av.VideoFrame], start: int, last: int) -> Iterator[av.VideoFrame]:
  frame = first
  while frame is not None and frame.pts is not None and frame.pts <= last:
    if frame.pts >= start:
      yield frame
    frame = next(rest, None)


def _reformatted(frame: av.VideoFrame, width: int, height: int, colours: Colours) -> av.VideoFrame:
  range_ = ColorRange.JPEG if colours.full_range else ColorRange.MPEG
  full = frame.color_range == ColorRange.JPEG or frame.format.is_rgb or frame.format.name.startswith('yuvj')
  matrix = None if int(frame.colorspace) == colours.matrix and not frame.format.is_rgb else Colorspace.ITU601
  return frame.reformat(
    width=width,
    height=height,
    format='yuv420p',
    dst_colorspace=matrix,
    interpolation=EXACT,
    src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
    dst_color_range=range_,
  )


def _turned(planes: Planes, quarters: int) -> Planes:
  height, width = planes.size
  turned = ycbcr.empty(*((width, height) if quarters % 2 else (height, width)), planes.colours)
  for source, place in zip((planes.y, *planes.cb_cr), (turned.y, *turned.cb_cr), strict=True):
    place[:] = cv2.rotate(np.ascontiguousarray(source), ROTATIONS[quarters])
  return turned
