"""Moving and still pictures, read one frame at a time, so that memory does not grow with the length of a video."""

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import ColorRange, Interpolation

from lpips_jax.cli import UserError
from lpips_jax.media import ycbcr
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.ycbcr import UNSPECIFIED_COLOURS, Colours

STILL_RATE = Fraction(25)  # frames a second of the video that a still image becomes
COARSEST_CLOCK = Fraction(1, 1000)  # seconds: Matroska rounds the times of frames to this
MOST_PIXELS = 1 << 26  # of a picture: no level of H.264 or HEVC has more
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
    rate: frames a second, exactly; their mean where frames come at uneven times; 25 where there is but one.
    frames: how many there are, as far as the file says.
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
    frame = next(decode(container, stream), None)
    if frame is None:
      raise UserError(f'{path} has no frame that can be decoded')
    still, turned = _is_still(container), frame.rotation % 180 != 0
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    info = VideoInfo(
      width=frame.height if turned else frame.width,
      height=frame.width if turned else frame.height,
      rate=STILL_RATE,
      frames=1,
      still=still,
      colours=_colours(frame, still),
      aspect=1 / aspect if turned else aspect,
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
  with open_media(path) as container:
    for frame in decode(container, picture(container, path)):
      yield _to_rgb(frame, longest_side)


def read_timed(
  path: str | os.PathLike[str], longest_side: int | None = None, since: Fraction | None = None
) -> Iterator[tuple[Fraction, np.ndarray]]:
  """Like `read_frames`, each frame with the time at which it is shown, in seconds of the file's clock.

  Frames before `since` are left out, and cost no conversion.
  Times rise from frame to frame, and are exact wherever the container's are.
  """
  with open_media(path) as container:
    stream = picture(container, path)
    for time, frame in timed(decode(container, stream), stream):
      if since is None or time >= since:
        yield time, _to_rgb(frame, longest_side)


def read_chosen(path: str | os.PathLike[str], indices: Iterable[int]) -> Iterator[np.ndarray]:
  """Like `read_frames`, but only the frames of these rising numbers, counted from 0; others cost no conversion.

  Numbers past the end of the video yield nothing.
  """
  with open_media(path) as container:
    stream = picture(container, path)
    frames = enumerate(frame for _, frame in timed(decode(container, stream), stream))
    for index in indices:
      for number, frame in frames:
        if number == index:
          yield _to_rgb(frame)
          break


def count_frames(path: str | os.PathLike[str], limit: int | None = None) -> int:
  """Returns how many frames `read_frames` yields, `limit` at most, by decoding them: headers are often wrong."""
  with open_media(path) as container:
    return sum(1 for _ in itertools.islice(decode(container, picture(container, path)), limit))


def picture_start(container: av.container.InputContainer) -> Fraction | None:
  """Returns when the picture of a file begins, in seconds of its clock; None where there is no moving picture."""
  moving = [] if _is_still(container) else _moving(container)
  return (moving[0].start_time or 0) * moving[0].time_base if moving else None


def picture(container: av.container.InputContainer, path: str | os.PathLike[str]) -> av.video.stream.VideoStream:
  """The first moving picture, or the cover of a record where there is no other."""
  streams = _moving(container) or container.streams.video
  if not streams:
    raise UserError(f'{path} has no picture in it')
  streams[0].thread_type = 'AUTO'
  size = streams[0].width * streams[0].height
  streams[0].codec_context.options = {'max_pixels': str(max(size, MOST_PIXELS))}  # a damaged file may claim any size
  return streams[0]


def timed(
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


def _with_timing(info: VideoInfo, path: str | os.PathLike[str]) -> VideoInfo:
  """Adds the frame rate, or what else the times of the packets show, by reading them without decoding."""
  with open_media(path) as container:
    stream = picture(container, path)
    packets = [packet.pts for packet in container.demux(stream) if packet.size]
    times = sorted({pts for pts in packets if pts is not None})
    tick = Fraction(stream.time_base or 1)
    guesses = [Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate]
    frames = stream.frames or len(times) or None
  if len(packets) == 1:  # such as a still image in a video's container, AVIF
    return info
  rates = [rate for guess in guesses for rate in _usual(guess)] + guesses
  constant = [rate for rate in rates if _is_constant(times, tick, rate)]
  if constant or len(times) < 2:
    rate = (constant or rates or [STILL_RATE])[0]
    return VideoInfo(**vars(info) | {'rate': rate, 'frames': frames})
  mean = (len(times) - 1) / ((times[-1] - times[0]) * tick)
  return VideoInfo(**vars(info) | {'rate': mean, 'frames': frames, 'tick': tick})


def _usual(guess: Fraction) -> list[Fraction]:
  """Rates in use, such as 30 and 30000/1001, so near to a guess that a coarse clock may have made it."""
  near = [Fraction(round(guess)), Fraction(round(guess * 1001 / 1000) * 1000, 1001)]
  return [rate for rate in near if rate and abs(rate - guess) < guess / 2000]


def _is_constant(times: list[int], tick: Fraction, rate: Fraction) -> bool:
  """Whether all times are those of frames at this rate, some of which may be missing, but for the clock's rounding."""
  places = (np.array(times, np.float64) - times[0] if times else np.zeros(0)) * float(tick * rate)
  off = np.abs(places - np.rint(places)) / float(rate)
  return bool((off <= float(max(tick, COARSEST_CLOCK))).all() and (np.diff(np.rint(places)) >= 1).all())


def _moving(container: av.container.InputContainer) -> list[av.video.stream.VideoStream]:
  return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def _is_still(container: av.container.InputContainer) -> bool:
  return container.format.name == 'image2' or container.format.name.endswith('_pipe') or not _moving(container)


def _colours(frame: av.VideoFrame, still: bool) -> Colours:
  """What the samples of a frame mean once they are 4:2:0 in a matrix that can be written; still images become video."""
  matrix = int(frame.colorspace)
  made = still or frame.format.is_rgb  # 4:2:0 is made of them, as most videos have it
  if made or matrix not in (ycbcr.UNSPECIFIED, *ycbcr.WEIGHTS, *ycbcr.BT601):
    matrix = BT601
  full_range = not made and (frame.color_range == ColorRange.JPEG or frame.format.name.startswith('yuvj'))
  return Colours(matrix, int(frame.color_primaries), int(frame.color_trc), full_range)


def _to_rgb(frame: av.VideoFrame, longest_side: int | None = None) -> np.ndarray:
  shrink = min(1.0, longest_side / max(frame.width, frame.height)) if longest_side else 1.0
  if shrink < 1:
    width, height = max(1, round(frame.width * shrink)), max(1, round(frame.height * shrink))
    rgb = frame.reformat(width=width, height=height, format='rgb24', interpolation=Interpolation.AREA).to_ndarray()
  else:
    rgb = frame.reformat(format='rgb24', interpolation=EXACT).to_ndarray()
  # FFmpeg's angle is counter-clockwise, as numpy's is.
  return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90) % 4))
