"""Moving and still pictures, read one frame at a time, so that memory does not grow with the length of a video."""

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Interpolation

from lpips_jax.cli import UserError
from lpips_jax.media.containers import decode, open_media

STILL_RATE = Fraction(25)  # frames a second of the video that a still image becomes
UNSPECIFIED_MATRIX = 2  # FFmpeg's number for "the file does not say"
CHUNK_BYTES = 128 << 20  # of decoded frames held while a video is read backwards
# FFmpeg's default conversion to RGB is one level too dark. With these two a frame comes back from RGB at 60 dB instead
# of 46 dB (a 1080p clip), and at 54 dB instead of 46 dB (a 700p one).
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class VideoInfo:
  """What is known of a video before it is decoded.

  Attributes:
    width: of the picture as shown, in pixels: after the rotation that the file asks for.
    height: likewise.
    rate: frames a second, exactly; 25 for a still image.
    frames: how many there are, as far as the file says.
    still: whether this is one image.
    matrix: FFmpeg's number of the YCbCr matrix (1 is BT.709), or 2 if the file does not say.
    primaries: FFmpeg's number of the colour primaries, likewise.
    transfer: FFmpeg's number of the transfer characteristic, likewise.
  """

  width: int
  height: int
  rate: Fraction
  frames: int | None = None
  still: bool = False
  matrix: int = UNSPECIFIED_MATRIX
  primaries: int = UNSPECIFIED_MATRIX
  transfer: int = UNSPECIFIED_MATRIX


def probe(path: str | os.PathLike[str]) -> VideoInfo:
  """Reads what a video or a still image is, from its header and its first frame.

  Args:
    path: a file of any container and codec that FFmpeg knows.

  Returns:
    Its size, frame rate and colours.

  Raises:
    UserError: the file cannot be read, or has no picture in it.
  """
  with open_media(path) as container:
    stream = _picture(container, path)
    frame = next(decode(container, stream), None)
    if frame is None:
      raise UserError(f'{path} has no frame that can be decoded')
    turned = frame.rotation % 180 != 0
    still = _is_still(container)
    return VideoInfo(
      width=frame.height if turned else frame.width,
      height=frame.width if turned else frame.height,
      rate=STILL_RATE if still else Fraction(stream.average_rate or stream.guessed_rate or STILL_RATE),
      frames=1 if still else stream.frames or None,
      still=still,
      matrix=int(frame.colorspace),
      primaries=int(frame.color_primaries),
      transfer=int(frame.color_trc),
    )


def read_frames(path: str | os.PathLike[str], longest_side: int | None = None) -> Iterator[np.ndarray]:
  """Yields the frames of a video, or the one of a still image, in the order of their showing.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    longest_side: if given, larger frames are reduced to this many pixels on their longer side.

  Yields:
    (H, W, 3) uint8 RGB, turned as the file asks for.

  Raises:
    UserError: the file cannot be read, or has no picture in it.
  """
  with open_media(path) as container:
    for frame in decode(container, _picture(container, path)):
      yield _to_rgb(frame, longest_side)


def read_timed(path: str | os.PathLike[str], longest_side: int | None = None) -> Iterator[tuple[Fraction, np.ndarray]]:
  """Like `read_frames`, each frame with the time at which it is shown, in seconds of the file's clock.

  Times rise from frame to frame, and are exact wherever the container's are.
  """
  with open_media(path) as container:
    stream = _picture(container, path)
    for time, frame in _timed(decode(container, stream), stream):
      yield time, _to_rgb(frame, longest_side)


def read_chosen(path: str | os.PathLike[str], indices: Iterable[int]) -> Iterator[np.ndarray]:
  """Like `read_frames`, but only the frames of these rising numbers, counted from 0; others cost no conversion.

  Numbers past the end of the video yield nothing.
  """
  with open_media(path) as container:
    stream = _picture(container, path)
    frames = enumerate(frame for _, frame in _timed(decode(container, stream), stream))
    for index in indices:
      for number, frame in frames:
        if number == index:
          yield _to_rgb(frame)
          break


def count_frames(path: str | os.PathLike[str], limit: int | None = None) -> int:
  """Returns how many frames `read_frames` yields, `limit` at most, by decoding them: headers are often wrong."""
  with open_media(path) as container:
    return sum(1 for _ in itertools.islice(decode(container, _picture(container, path)), limit))


def read_there_and_back(path: str | os.PathLike[str]) -> Iterator[np.ndarray]:
  """Yields the frames of a video forwards, then backwards, and so on for ever: 0 1 2 3 2 1 0 1 ...

  Going backwards it holds a bounded number of frames, decoded anew from the key frame before them.

  Args:
    path: a file of any container and codec that FFmpeg knows.

  Yields:
    (H, W, 3) uint8 RGB, turned as the file asks for.

  Raises:
    UserError: the file cannot be read, or has no picture in it.
  """
  times = []  # of the frames, in the stream's own units; None where the file does not say
  with open_media(path) as container:
    for frame in decode(container, _picture(container, path)):
      times.append(frame.pts)
      first = _to_rgb(frame)
      yield first
  if not times:
    raise UserError(f'{path} has no frame that can be decoded')
  if len(times) == 1:
    while True:
      yield first
  chunk = max(1, CHUNK_BYTES // first.nbytes)
  del first
  while True:
    for end in range(len(times) - 1, 1, -chunk):
      yield from reversed(_read_range(path, times, max(1, end - chunk), end))
    for count, frame in enumerate(read_frames(path)):
      if count == len(times):
        break
      yield frame


def there_and_back(index: int, length: int) -> int:
  """Returns which of `length` frames `read_there_and_back` yields as its `index`-th."""
  if length == 1:
    return 0
  position = index % (2 * length - 2)
  return min(position, 2 * length - 2 - position)


def _read_range(path: str | os.PathLike[str], times: list[int | None], start: int, end: int) -> list[np.ndarray]:
  """Returns frames start..end-1, from the nearest key frame if seeking works in this file, else from the beginning."""
  with open_media(path) as container:
    stream = _picture(container, path)
    if times[start] is not None:
      container.seek(times[start], stream=stream)
      frames = decode(container, stream)
      first = next(frames, None)
      if first is not None and first.pts is not None and first.pts <= times[start]:
        found = [_to_rgb(frame) for frame in _between(first, frames, times[start], times[end - 1])]
        if len(found) == end - start:
          return found
  found = []
  for index, frame in enumerate(read_frames(path)):
    if index >= end:
      break
    if index >= start:
      found.append(frame)
  return found


def _timed(
  frames: Iterable[av.VideoFrame], stream: av.video.stream.VideoStream
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
  """Gives each frame its time; one without a time, or with one that does not rise, comes a frame after the last."""
  last, step = None, 1 / Fraction(stream.average_rate or stream.guessed_rate or STILL_RATE)
  for frame in frames:
    time = None if frame.pts is None else frame.pts * frame.time_base
    if time is None or (last is not None and time <= last):
      time = Fraction(0) if last is None else last + step
    last = time
    yield time, frame


def _between(first: av.VideoFrame, rest: Iterator[av.VideoFrame], start: int, last: int) -> Iterator[av.VideoFrame]:
  frame = first
  while frame is not None and frame.pts is not None and frame.pts <= last:
    if frame.pts >= start:
      yield frame
    frame = next(rest, None)


def _picture(container: av.container.InputContainer, path: str | os.PathLike[str]) -> av.video.stream.VideoStream:
  if not container.streams.video:
    raise UserError(f'{path} has no picture in it')
  stream = container.streams.video[0]
  stream.thread_type = 'AUTO'
  return stream


def _is_still(container: av.container.InputContainer) -> bool:
  return container.format.name == 'image2' or container.format.name.endswith('_pipe')


def _to_rgb(frame: av.VideoFrame, longest_side: int | None = None) -> np.ndarray:
  shrink = min(1.0, longest_side / max(frame.width, frame.height)) if longest_side else 1.0
  if shrink < 1:
    width, height = max(1, round(frame.width * shrink)), max(1, round(frame.height * shrink))
    rgb = frame.reformat(width=width, height=height, format='rgb24', interpolation=Interpolation.AREA).to_ndarray()
  else:
    rgb = frame.reformat(format='rgb24', interpolation=_EXACT).to_ndarray()
  # FFmpeg's angle is counter-clockwise, as numpy's is.
  return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90) % 4))
