"""Which frames there are in a film or a still image: all who read pictures, of whatever kind, take them from here.

Frames are whole (interlaced ones are deinterlaced), opaque (what is transparent is white), of one size (that of the
first; others are letterboxed), and have a time. What has been done to a file is said once.

A dub shows a frame that stands for long again and again, so that its mouth can move; `shown_again` says when. For
training and judging there is nothing to be had from such a frame: see `faces.scan`.
"""

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import av
from av.stream import Disposition

from lpips_jax.core.errors import UserError
from lpips_jax.media.containers import decode, say_once
from lpips_jax.media.deinterlacing import deinterlaced
from lpips_jax.media.ffmpeg import chain
from lpips_jax.media.orientation import Orientation, orientation_of, swapped
from lpips_jax.media.transparency import decoder_of, opaque

STILL_RATE = Fraction(25)  # frames a second of the video that a still image becomes
COARSEST_CLOCK = Fraction(1, 1000)  # seconds: Matroska rounds the times of frames to this
LONGEST_STILL = Fraction(1, 10) + COARSEST_CLOCK  # seconds for which a frame may stand in a dub
LONGEST_REST = Fraction(600)  # seconds: where a frame seems to stand for longer, the clock is mistaken
MOST_PIXELS = 1 << 26  # of a picture: no level of H.264 or HEVC has more
HEIF = 'avif', 'heic', 'heim', 'heis', 'heix', 'mif1', 'mif2'  # brands of files that hold pictures, not films
HEIF_FILMS = 'avis', 'hevc', 'hevm', 'hevs', 'hevx', 'msf1'


class Picture(NamedTuple):
  """A decoded frame.

  Attributes:
    time: when it is shown, in seconds of the file's clock.
    frame: its samples, as stored.
    orientation: how they are to be shown.
  """

  time: Fraction
  frame: av.VideoFrame
  orientation: Orientation


def read(
  container: av.container.InputContainer,
  stream: av.video.stream.VideoStream,
  path: str | os.PathLike[str],
  size: tuple[int, int] | None = None,
) -> Iterator[Picture]:
  """Yields the frames of a stream in the order of their showing, at times that rise.

  Args:
    container: an open container, wherever it was last sought to.
    stream: what `picture` returns of it.
    path: of the file, for messages.
    size: width and height that frames have when they are upright; by default those of the first.
  """
  for time, frame in _timed(deinterlaced(decode(container, stream, decoder_of(stream)), path), stream):
    orientation = orientation_of(frame)
    size = size or swapped(frame.width, frame.height, orientation)
    fitting = _letterboxed(opaque(frame, path), *swapped(*size, orientation), path)
    yield Picture(time, fitting, orientation)


def picture(container: av.container.InputContainer, path: str | os.PathLike[str]) -> av.video.stream.VideoStream:
  """Returns the first moving picture, or the cover of a record where there is no other.

  Raises:
    UserError: there is no picture, or one in parts that nobody puts together.
  """
  streams = moving(container) or container.streams.video
  if not streams:
    raise UserError(f'{path} has no picture in it')
  if _in_parts(container):
    raise UserError(f'{path} is a picture in several parts, such as tiles or transparency: save it as PNG or JPEG')
  if streams[0].codec_context is None:
    raise UserError(f'{path} has a picture whose codec is not known')
  streams[0].thread_type = 'AUTO'
  size = streams[0].width * streams[0].height
  streams[0].codec_context.options = {'max_pixels': str(max(size, MOST_PIXELS))}  # a damaged file may claim any size
  return streams[0]


def shown_again(time: Fraction, until: Fraction, clock: Fraction) -> list[Fraction]:
  """Returns when a frame that stands for long is to be shown again: about 25 times a second.

  Args:
    time: when it is shown first, in seconds.
    until: when the next one is.
    clock: seconds, of which all times are whole multiples.
  """
  if not LONGEST_STILL < until - time <= LONGEST_REST:
    return []
  step = clock * max(1, round(1 / (STILL_RATE * clock)))
  return [time + k * step for k in range(1, round((until - time) / step))]


def finer(step: Fraction) -> int:
  """Returns in how many parts the time from one frame to the next is to be divided: more than one if it is long."""
  return max(1, round(STILL_RATE * step)) if step > LONGEST_STILL else 1


def moving(container: av.container.InputContainer) -> list[av.video.stream.VideoStream]:
  """Returns the streams of pictures that are not the cover of a record."""
  return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def is_still(container: av.container.InputContainer) -> bool:
  """Whether a file is an image, or has nothing but a cover."""
  image = container.format.name == 'image2' or container.format.name.endswith('_pipe')
  return image or _brand(container) in HEIF or not moving(container)


def _brand(container: av.container.InputContainer) -> str:
  return container.metadata.get('major_brand', '')


def _in_parts(container: av.container.InputContainer) -> bool:
  """Whether a picture is in tiles, as phones write HEIC, or, in these containers, has its transparency apart."""
  pictures = container.streams.video
  several = _brand(container) in (*HEIF, *HEIF_FILMS) and len(pictures) > 1
  return several or any(stream.disposition & Disposition.dependent for stream in pictures)


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


def _letterboxed(frame: av.VideoFrame, width: int, height: int, path: str | os.PathLike[str]) -> av.VideoFrame:
  """Brings a frame to a size; where it has another shape, black bars are what is missing."""
  if (frame.width, frame.height) == (width, height):
    return frame
  say_once(f'{path} changes its size on the way: all of it is fitted into {width} x {height}, the size it begins with')
  scale = min(width / frame.width, height / frame.height)
  w, h = (
    min(most, max(2, 2 * round(scale * side / 2))) for most, side in ((width, frame.width), (height, frame.height))
  )
  place = f'{(width - w) // 4 * 2}:{(height - h) // 4 * 2}'
  graph = chain(frame, ('scale', f'{w}:{h}'), ('pad', f'{width}:{height}:{place}:black'))
  graph.push(frame)
  return graph.pull()
