"""Moving and still pictures, read one frame at a time, so that memory does not grow with the length of a video."""

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation

from lpips_jax.core.errors import UserError
from lpips_jax.media import frames, ycbcr
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.ffmpeg import bits_of
from lpips_jax.media.frames import COARSEST_CLOCK, MOST_PIXELS, STILL_RATE, Picture, is_still, moving, picture
from lpips_jax.media.orientation import swapped, upright
from lpips_jax.media.ycbcr import UNSPECIFIED_COLOURS, Colours

BT601 = 6  # H.273's number of the matrix of still images (JFIF), and what readers that ignore the tag assume
# FFmpeg's default conversion to RGB is one level too dark. With these two a frame comes back from RGB at 60 dB instead
# of 46 dB (a 1080p clip), and at 54 dB instead of 46 dB (a 700p one).
EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class VideoInfo:
  """What is known of a video before it is decoded.

  Attributes:
    width: of the picture as shown, in pixels: after the rotation that the file asks for.
    height: likewise.
    rate: frames a second, exactly, as a dub has them; their mean where they come at uneven times; 25 where there is but
      one. A film of 1 frame a second is dubbed at 25.
    frames: how many a dub has, as far as the file says: those of the file, and `frames.shown_again`.
    still: whether this is one image.
    colours: what its samples mean.
    tick: seconds, of which the times of unevenly spaced frames are whole multiples; None if frames come at `rate`.
    aspect: width over height of one pixel as shown.
  """

  width: int
  height: int
  rate: Fraction
  frames: int | None = None
  still: bool = False
  colours: Colours = UNSPECIFIED_COLOURS
  tick: Fraction | None = None
  aspect: Fraction = Fraction(1)


def probe(path: str | os.PathLike[str], most_pixels: int = MOST_PIXELS) -> VideoInfo:
  """Reads what a video or a still image is, from its packets' times and its first frame.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    most_pixels: the largest picture that is taken, width times height.

  Returns:
    Its size, frame rate and colours.

  Raises:
    UserError: the file cannot be read, or has no picture in it, or too large a one.
  """
  with open_media(path) as container:
    stream = picture(container, path)
    if stream.width * stream.height > most_pixels:
      raise UserError(
        f'{path} is {stream.width} x {stream.height} pixels large: reduce it, or raise --max_pixels={most_pixels}'
      )
    first = next(frames.read(container, stream, path), None)
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
  for _, frame in read_timed(path, longest_side):
    yield frame


def read_timed(path: str | os.PathLike[str], longest_side: int | None = None) -> Iterator[tuple[Fraction, np.ndarray]]:
  """Like `read_frames`, each frame with the time at which it is shown, in seconds of the file's clock.

  Times rise from frame to frame, and are exact wherever the container's are.
  """
  with open_media(path) as container:
    for shown in frames.read(container, picture(container, path), path):
      yield shown.time, _to_rgb(shown, longest_side)


def read_chosen(path: str | os.PathLike[str], indices: Iterable[int]) -> Iterator[np.ndarray]:
  """Like `read_frames`, but only the frames of these rising numbers, counted from 0; others cost no conversion.

  Numbers past the end of the video yield nothing.
  """
  with open_media(path) as container:
    numbered = enumerate(frames.read(container, picture(container, path), path))
    for index in indices:
      for number, shown in numbered:
        if number == index:
          yield _to_rgb(shown)
          break


def count_frames(path: str | os.PathLike[str], limit: int | None = None) -> int:
  """Returns how many frames `read_frames` yields, `limit` at most, by decoding them: headers are often wrong."""
  with open_media(path) as container:
    return sum(1 for _ in itertools.islice(decode(container, picture(container, path)), limit))


def picture_start(container: av.container.InputContainer) -> Fraction | None:
  """Returns when the picture of a file begins, in seconds of its clock; None where there is no moving picture."""
  films = [] if is_still(container) else moving(container)
  return (films[0].start_time or 0) * films[0].time_base if films else None


def _with_timing(info: VideoInfo, path: str | os.PathLike[str]) -> VideoInfo:
  """Adds the frame rate, or what else the times of the packets show, by reading them without decoding."""
  with open_media(path) as container:
    stream = picture(container, path)
    packets = [(packet.pts, packet.duration or 0) for packet in container.demux(stream) if packet.size]
    timed = sorted({pts: duration for pts, duration in packets if pts is not None}.items())
    tick = Fraction(stream.time_base or 1)
    guesses = [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    count = stream.frames or len(timed) or None
  if len(packets) == 1:  # such as a still image in a video's container, AVIF
    return info
  times = [pts for pts, _ in timed]
  rates = [rate for guess in guesses for rate in _usual(guess)] + guesses
  constant = [rate for rate in rates if _is_constant(times, tick, rate)]
  if constant or len(times) < 2:
    rate = (constant or rates or [STILL_RATE])[0]
    rate *= frames.finer(1 / rate)
    again = _shown_again(timed, tick, 1 / rate)
    return replace(info, rate=rate, frames=count and count + again)
  fine = tick / frames.finer(tick)
  again = _shown_again([*timed[:-1], (times[-1], 0)], tick, fine)
  mean = (len(times) - 1 + again) / ((times[-1] - times[0]) * tick)
  return replace(info, rate=mean, frames=count + _shown_again(timed, tick, fine), tick=fine)


def _shown_again(timed: list[tuple[int, int]], tick: Fraction, clock: Fraction) -> int:
  """How often frames with these times and, of the last, this duration are shown again."""
  places = np.append([pts for pts, _ in timed], sum(timed[-1])) if timed else np.zeros(0)
  long = np.flatnonzero(np.diff(places) * float(tick) > float(frames.LONGEST_STILL))
  return sum(len(frames.shown_again(int(places[k]) * tick, int(places[k + 1]) * tick, clock)) for k in long)


def _usual(guess: Fraction) -> list[Fraction]:
  """Rates in use, such as 30 and 30000/1001, so near to a guess that a coarse clock may have made it."""
  near = [Fraction(round(guess)), Fraction(round(guess * 1001 / 1000) * 1000, 1001)]
  return [rate for rate in near if rate and abs(rate - guess) < guess / 2000]


def _is_constant(times: list[int], tick: Fraction, rate: Fraction) -> bool:
  """Whether all times are those of frames at this rate, some of which may be missing, but for the clock's rounding."""
  places = (np.array(times, np.float64) - times[0] if times else np.zeros(0)) * float(tick * rate)
  off = np.abs(places - np.rint(places)) / float(rate)
  return bool((off <= float(max(tick, COARSEST_CLOCK))).all() and (np.diff(np.rint(places)) >= 1).all())


def _colours(frame: av.VideoFrame, still: bool) -> Colours:
  """What the samples of a frame mean once they are 4:2:0 in a matrix that can be written; still images become video.

  Those of 10 bits and more have 10 in the end, but what is made here has 8.
  """
  matrix = int(frame.colorspace)
  made = still or frame.format.is_rgb  # 4:2:0 is made of them, as most videos have it
  if made or matrix not in (ycbcr.UNSPECIFIED, *ycbcr.WEIGHTS, *ycbcr.BT601):
    matrix = BT601
  full_range = not made and (frame.color_range == ColorRange.JPEG or frame.format.name.startswith('yuvj'))
  depth = 10 if not made and bits_of(frame) > 8 else 8
  return Colours(matrix, int(frame.color_primaries), int(frame.color_trc), full_range, depth)


def _to_rgb(shown: Picture, longest_side: int | None = None) -> np.ndarray:
  frame = shown.frame
  shrink = min(1.0, longest_side / max(frame.width, frame.height)) if longest_side else 1.0
  if shrink < 1:
    width, height = max(1, round(frame.width * shrink)), max(1, round(frame.height * shrink))
    rgb = frame.reformat(width=width, height=height, format='rgb24', interpolation=Interpolation.AREA).to_ndarray()
  else:
    rgb = frame.reformat(format='rgb24', interpolation=EXACT).to_ndarray()
  return upright(rgb, shown.orientation)
