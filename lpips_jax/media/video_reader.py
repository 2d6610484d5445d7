"""Reading videos and still images: their size, rate and colours, and RGB frames one at a time.

Memory does not grow with the length of a video.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.media import frames, ycbcr
from lpips_jax.media.containers import decode, open_media, packets
from lpips_jax.media.ffmpeg import bits_per_sample
from lpips_jax.media.frames import (
  COARSEST_CLOCK,
  MAX_PIXELS,
  STILL_RATE,
  DecodedFrame,
  decoded_frames,
  is_still,
  moving_streams,
  picture_stream,
)
from lpips_jax.media.orientation import swapped, upright
from lpips_jax.media.ycbcr import UNSPECIFIED_COLOURS, Colours

STILL_MATRIX = 6  # H.273's number of the matrix of still images (JFIF), and what readers that ignore the tag assume
# FFmpeg's default conversion to RGB is one level too dark. With these two a frame comes back from RGB at 60 dB instead
# of 46 dB (a 1080p clip), and at 54 dB instead of 46 dB (a 700p one).
EXACT_INTERPOLATION = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class VideoInfo:
  """The properties of a video that are known before it is decoded.

  Attributes:
    width: of the picture as shown, in pixels: after the rotation that the file asks for.
    height: likewise.
    rate: frames a second of a dub, exactly; their mean if they come at uneven times; 25 for a single frame.
      A video of 1 frame a second is dubbed at 25.
    frames: number of frames of a dub, as far as the file says: those of the file, and their repeats, which
      `frames.repeat_times` adds.
    still: whether this is one image.
    colours: the meaning of its samples.
    tick: seconds, of which the times of unevenly spaced frames are whole multiples; None if frames come at `rate`.
    aspect: width over height of one pixel as shown.
    part: seconds after the first frame at which the part that is played begins and ends; None for its end is the end of
      the video. See `part_of`.
  """

  width: int
  height: int
  rate: Fraction
  frames: int | None = None
  still: bool = False
  colours: Colours = UNSPECIFIED_COLOURS
  tick: Fraction | None = None
  aspect: Fraction = Fraction(1)
  part: tuple[Fraction, Fraction | None] = (Fraction(0), None)


def part_of(info: VideoInfo, begin: Fraction, end: Fraction | None) -> VideoInfo:
  """Returns the properties of the part of a video between two times, in seconds after its first frame."""
  frames = info.frames
  if frames is not None:
    last = frames if end is None else min(frames, math.ceil(end * info.rate))
    frames = max(1, last - math.ceil(begin * info.rate))
  return replace(info, part=(begin, end), frames=frames)


def probe(path: PathLike, max_pixels: int = MAX_PIXELS) -> VideoInfo:
  """Reads the properties of a video or a still image, from its packets' times and its first frame.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    max_pixels: width times height of the largest picture that is accepted.

  Returns:
    Its size, frame rate and colours.

  Raises:
    UserError: the file cannot be read, or has no picture in it, or too large a one.
  """
  with open_media(path) as container:
    stream = picture_stream(container, path)
    if stream.width * stream.height > max_pixels:
      size = f'{stream.width} x {stream.height} pixels'
      raise UserError(f'{path} is {size} large: reduce it, or raise max_pixels={max_pixels}', 'max_pixels')
    first = next(decoded_frames(container, stream, path), None)
    if first is None:
      raise UserError(f'{path} has no frame that can be decoded')
    frame, still = first.frame, is_still(container)
    width, height = swapped(frame.width, frame.height, first.orientation)
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    info = VideoInfo(
      width=width,
      height=height,
      rate=STILL_RATE,
      frames=1,
      still=still,
      colours=_colours(frame, still),
      aspect=1 / aspect if first.orientation.transposed else aspect,
    )
  return info if still else _with_timing(info, path)


def read_frames(path: PathLike, longest_side: int | None = None) -> Iterator[np.ndarray]:
  """Yields the frames of a video, or the one of a still image, in the order in which they are shown.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    longest_side: pixels; if given, frames whose longer side has more are reduced to it.

  Yields:
    (H, W, 3) uint8 RGB, upright.

  Raises:
    UserError: the file cannot be read, or has no picture in it.
  """
  for _, frame in read_timed(path, longest_side):
    yield frame


def read_timed(path: PathLike, longest_side: int | None = None) -> Iterator[tuple[Fraction, np.ndarray]]:
  """Yields the same frames, each after the time at which it is shown, in seconds of the file's clock.

  Times rise from frame to frame, and are exact wherever the container's are.
  """
  with open_media(path) as container:
    for shown in decoded_frames(container, picture_stream(container, path), path):
      yield shown.time, _to_rgb(shown, longest_side)


def read_chosen(path: PathLike, indices: Iterable[int]) -> Iterator[np.ndarray]:
  """Yields the frames with these rising numbers, counted from 0; the others are not converted to RGB.

  Numbers past the end of the video yield nothing.
  """
  with open_media(path) as container:
    numbered = enumerate(decoded_frames(container, picture_stream(container, path), path))
    for index in indices:
      for number, shown in numbered:
        if number == index:
          yield _to_rgb(shown)
          break


def count_frames(path: PathLike, limit: int | None = None) -> int:
  """Counts the frames that `read_frames` yields, up to `limit`, by decoding them: headers are often wrong."""
  with open_media(path) as container:
    return sum(1 for _ in itertools.islice(decode(container, picture_stream(container, path)), limit))


def picture_start(container: av.container.InputContainer) -> Fraction | None:
  """Returns when the picture of a file begins, in seconds of its clock; None if there is no moving picture."""
  streams = [] if is_still(container) else moving_streams(container)
  return (streams[0].start_time or 0) * Fraction(streams[0].time_base or 1) if streams else None


def _with_timing(info: VideoInfo, path: PathLike) -> VideoInfo:
  """Adds the frame rate, or the tick and the mean rate, from the times of the packets, which are not decoded."""
  with open_media(path) as container:
    stream = picture_stream(container, path)
    found = [(packet.pts, packet.duration or 0) for packet in packets(container, stream) if packet.size]
    timed = sorted({pts: duration for pts, duration in found if pts is not None}.items())
    tick = Fraction(stream.time_base or 1)
    guesses = [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    count = stream.frames or len(timed)
  if len(found) == 1:  # such as a still image in a video's container, AVIF
    return info
  times = [pts for pts, _ in timed]
  rates = [rate for guess in guesses for rate in _usual(guess)] + guesses
  constant = [rate for rate in rates if _is_constant(times, tick, rate)]
  if constant or len(times) < 2:
    rate = (constant or rates or [STILL_RATE])[0]
    rate *= frames.repeats_per_frame(1 / rate)
    repeats = _count_repeats(timed, tick, 1 / rate)
    return replace(info, rate=rate, frames=count + repeats if count else None)
  fine = tick / frames.repeats_per_frame(tick)
  repeats = _count_repeats([*timed[:-1], (times[-1], 0)], tick, fine)
  mean = (len(times) - 1 + repeats) / ((times[-1] - times[0]) * tick)
  return replace(info, rate=mean, frames=count + _count_repeats(timed, tick, fine), tick=fine)


def _count_repeats(timed: list[tuple[int, int]], tick: Fraction, clock: Fraction) -> int:
  """Returns how often a dub repeats frames; `timed` are their times and durations, of which the last one counts."""
  places = np.append([pts for pts, _ in timed], sum(timed[-1])) if timed else np.zeros(0)
  long = np.flatnonzero(np.diff(places) * float(tick) > float(frames.MAX_FRAME_SECONDS))
  return sum(len(frames.repeat_times(int(places[k]) * tick, int(places[k + 1]) * tick, clock)) for k in long)


def _usual(guess: Fraction) -> list[Fraction]:
  """Returns rates in use, such as 30 and 30000/1001, so near to a guess that a coarse clock may have made it."""
  near = [Fraction(round(guess)), Fraction(round(guess * 1001 / 1000) * 1000, 1001)]
  return [rate for rate in near if rate and abs(rate - guess) < guess / 2000]


def _is_constant(times: list[int], tick: Fraction, rate: Fraction) -> bool:
  """Returns whether all times, but for the clock's rounding, are those of frames at this rate; some may be missing."""
  places = (np.array(times, np.float64) - times[0] if times else np.zeros(0)) * float(tick * rate)
  off = np.abs(places - np.rint(places)) / float(rate)
  return bool((off <= float(max(tick, COARSEST_CLOCK))).all() and (np.diff(np.rint(places)) >= 1).all())


def _colours(frame: av.VideoFrame, still: bool) -> Colours:
  """Returns the colours of a frame once it is 4:2:0 in a matrix that can be written; still images become video.

  Samples of more than 8 bits get 10, but those of RGB and of still images, which are converted here, get 8.
  """
  matrix = int(frame.colorspace)
  converted = still or frame.format.is_rgb  # to 4:2:0, as most videos have it
  if converted or matrix not in (ycbcr.UNSPECIFIED, *ycbcr.LUMA_WEIGHTS, *ycbcr.BT601_WEIGHTS):
    matrix = STILL_MATRIX
  full_range = not converted and (frame.color_range == ColorRange.JPEG or frame.format.name.startswith('yuvj'))
  depth = 10 if not converted and bits_per_sample(frame) > 8 else 8
  return Colours(matrix, int(frame.color_primaries), int(frame.color_trc), full_range, depth)


def _to_rgb(shown: DecodedFrame, longest_side: int | None = None) -> np.ndarray:
  frame = shown.frame
  shrink = min(1.0, longest_side / max(frame.width, frame.height)) if longest_side else 1.0
  if shrink < 1:
    width, height = max(1, round(frame.width * shrink)), max(1, round(frame.height * shrink))
    rgb = frame.reformat(width=width, height=height, format='rgb24', interpolation=Interpolation.AREA).to_ndarray()
  else:
    rgb = frame.reformat(format='rgb24', interpolation=EXACT_INTERPOLATION).to_ndarray()
  return upright(rgb, shown.orientation)
