"""The frames of a video or a still image: everything that reads pictures gets them from here.

Frames are whole (interlaced ones are deinterlaced), opaque (transparent ones are laid over white), of one size (that of
the first; others are letterboxed), and have a time. Each such change is logged once for a file.

A dub repeats a frame that is shown for long, so that its mouth can move; `repeat_times` returns when. For training and
scoring such frames are useless: see `faces.scan`.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import av
from av.stream import Disposition

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.media.containers import decode, warn_once
from lpips_jax.media.deinterlacing import deinterlaced
from lpips_jax.media.ffmpeg import filtered, time_of
from lpips_jax.media.orientation import Orientation, orientation_of, swapped
from lpips_jax.media.transparency import alpha_decoder, opaque

STILL_RATE = Fraction(25)  # frames a second of the video that a still image becomes
COARSEST_CLOCK = Fraction(1, 1000)  # seconds: Matroska rounds the times of frames to this
MAX_FRAME_SECONDS = Fraction(1, 10) + COARSEST_CLOCK  # for which a dub shows one frame; longer ones are repeated
MAX_REPEATED_SECONDS = Fraction(600)  # where a frame seems to be shown for longer, the clock is wrong
MAX_PIXELS = 1 << 26  # of a picture: no level of H.264 or HEVC has more
HEIF_STILLS = 'avif', 'heic', 'heim', 'heis', 'heix', 'mif1', 'mif2'  # brands of files that hold pictures, not videos
HEIF_VIDEOS = 'avis', 'hevc', 'hevm', 'hevs', 'hevx', 'msf1'


class DecodedFrame(NamedTuple):
  """A decoded frame.

  Attributes:
    time: when it is shown, in seconds of the file's clock.
    frame: its samples, as stored.
    orientation: brings them upright.
  """

  time: Fraction
  frame: av.VideoFrame
  orientation: Orientation


def decoded_frames(
  container: av.container.InputContainer,
  stream: av.video.stream.VideoStream,
  path: PathLike,
  size: tuple[int, int] | None = None,
) -> Iterator[DecodedFrame]:
  """Yields the frames of a stream in the order in which they are shown, at times that rise.

  Args:
    container: an open container, which may have been sought in.
    stream: its `picture_stream`.
    path: of the file, for messages.
    size: width and height of all frames once they are upright; by default those of the first.
  """
  for time, frame in _timed(deinterlaced(decode(container, stream, alpha_decoder(stream)), path), stream):
    orientation = orientation_of(frame)
    size = size or swapped(frame.width, frame.height, orientation)
    fitting = _letterboxed(opaque(frame, path), *swapped(*size, orientation), path)
    yield DecodedFrame(time, fitting, orientation)


def picture_stream(container: av.container.InputContainer, path: PathLike) -> av.video.stream.VideoStream:
  """Returns the first stream of moving pictures, or else the cover of a record.

  Raises:
    UserError: there is no picture, or it is in several parts, which are not joined here.
  """
  streams = moving_streams(container) or list(container.streams.video)
  if not streams:
    raise UserError(f'{path} has no picture in it')
  if _in_parts(container):
    raise UserError(f'{path} is a picture in several parts, such as tiles or transparency: save it as PNG or JPEG')
  if streams[0].codec_context is None:
    raise UserError(f'{path} has a picture whose codec is not known')
  streams[0].thread_type = 'AUTO'
  size = streams[0].width * streams[0].height
  streams[0].codec_context.options = {'max_pixels': str(max(size, MAX_PIXELS))}  # a damaged file may claim any size
  return streams[0]


def repeat_times(time: Fraction, until: Fraction, clock: Fraction) -> list[Fraction]:
  """Returns the times at which a dub repeats a frame that is shown for long, about 25 a second.

  Args:
    time: when it is shown first, in seconds.
    until: when the next frame is shown.
    clock: seconds, of which all times are whole multiples.
  """
  if not MAX_FRAME_SECONDS < until - time <= MAX_REPEATED_SECONDS:
    return []
  step = clock * max(1, round(1 / (STILL_RATE * clock)))
  return [time + k * step for k in range(1, round((until - time) / step))]


def repeats_per_frame(step: Fraction) -> int:
  """Returns how often a dub shows each frame where frames come every `step` seconds: once unless that is long."""
  return max(1, round(STILL_RATE * step)) if step > MAX_FRAME_SECONDS else 1


def moving_streams(container: av.container.InputContainer) -> list[av.video.stream.VideoStream]:
  """Returns the streams of pictures but for the cover of a record."""
  return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def is_still(container: av.container.InputContainer) -> bool:
  """Returns whether a file is an image, or has no picture but a cover."""
  image = container.format.name == 'image2' or container.format.name.endswith('_pipe')
  return image or _brand(container) in HEIF_STILLS or not moving_streams(container)


def _brand(container: av.container.InputContainer) -> str:
  return container.metadata.get('major_brand', '')


def _in_parts(container: av.container.InputContainer) -> bool:
  """Returns whether a picture is in tiles, as phones write HEIC, or has its transparency in a stream of its own."""
  pictures = container.streams.video
  several = _brand(container) in (*HEIF_STILLS, *HEIF_VIDEOS) and len(pictures) > 1
  return several or any(stream.disposition & Disposition.dependent for stream in pictures)


def _timed(
  frames: Iterable[av.VideoFrame], stream: av.video.stream.VideoStream
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
  """Gives each frame its time; one without a time, or with one that does not rise, comes a frame after the last."""
  last: Fraction | None = None
  step = 1 / Fraction(stream.average_rate or stream.guessed_rate or STILL_RATE)
  for frame in frames:
    time = time_of(frame)
    if time is None or (last is not None and time <= last):
      time = Fraction(0) if last is None else last + step
    last = time
    yield time, frame


def _letterboxed(frame: av.VideoFrame, width: int, height: int, path: PathLike) -> av.VideoFrame:
  """Scales a frame to a size, with black bars if it has another shape."""
  if (frame.width, frame.height) == (width, height):
    return frame
  warn_once(f'{path} changes its size on the way: all of it is fitted into {width} x {height}, the size it begins with')
  scale = min(width / frame.width, height / frame.height)
  w, h = (
    min(most, max(2, 2 * round(scale * side / 2))) for most, side in ((width, frame.width), (height, frame.height))
  )
  place = f'{(width - w) // 4 * 2}:{(height - h) // 4 * 2}'
  return filtered(frame, ('scale', f'{w}:{h}'), ('pad', f'{width}:{height}:{place}:black'))
