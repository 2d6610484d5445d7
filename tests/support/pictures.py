"""Small videos and sounds for the tests of reading and writing: pictures that tell how they lie, and frame numbers."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from lpips_jax.core.files import PathLike
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import write_video

SIDES = 48, 64  # height and width


def corners(height: int = SIDES[0], width: int = SIDES[1]) -> np.ndarray:
  """Returns a picture that looks different in each of its eight orientations, (h, w, 3) uint8."""
  picture = np.full((height, width, 3), 128, np.uint8)
  half = height // 2, width // 2
  picture[: half[0], : half[1]] = 230
  picture[: half[0], half[1] :] = 30
  return picture


def frame_of(rgb: np.ndarray, form: str = 'yuv420p', pts: int = 0, rate: Fraction = Fraction(25)) -> av.VideoFrame:
  """Returns a frame of a picture, (h, w, 3) or, with transparency, (h, w, 4) uint8."""
  given = 'rgb24' if rgb.shape[2] == 3 else 'rgba'
  frame = av.VideoFrame.from_ndarray(rgb, format=given).reformat(format=form)
  frame.pts, frame.time_base = pts, 1 / Fraction(rate)
  return frame


def write_film(
  path: Path,
  frames: Iterable[np.ndarray | av.VideoFrame],
  form: str = 'yuv420p',
  codec: str = 'libx264',
  options: dict[str, str] | None = None,
  times: Sequence[int] | None = None,
  rate: Fraction = Fraction(25),
) -> Path:
  """Writes pictures as they are, at `times` or one after the other, in units of a frame at `rate`."""
  with av.open(str(path), 'w') as container:
    # PyAV's stubs know only by some encoders' names that they make a stream of pictures.
    options = {'crf': '4'} if options is None else options
    stream = cast(av.video.stream.VideoStream, container.add_stream(codec, rate=rate, options=options))
    for k, frame in enumerate(frames):
      frame = frame_of(frame, form) if isinstance(frame, np.ndarray) else frame
      if k == 0:
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, form
      frame.pts, frame.time_base = times[k] if times else k, 1 / Fraction(rate)
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path


def numbered(k: int, width: int = 64, height: int = 48) -> np.ndarray:
  """Returns a frame that tells its number by its brightness, and which way is up by a bright quarter."""
  frame = np.full((height, width, 3), 16 + 3 * k, np.uint8)
  frame[: height // 2, : width // 2, 0] = 250
  return frame


def number(frame: np.ndarray) -> int:
  """Returns the number that a `numbered` frame tells."""
  return round((frame[-1, -1, 1].astype(float) - 16) / 3)


def write_numbered(
  path: Path,
  n: int,
  rate: Fraction = Fraction(25),
  sound: PathLike | None = None,
  width: int = 64,
  height: int = 48,
) -> Path:
  """Writes a video of `numbered` frames."""
  with write_video(path, VideoInfo(width, height, rate), sound) as write:
    for k in range(n):
      write(numbered(k, width, height))
  return path


def write_wav(path: Path, samples: np.ndarray, rate: int) -> Path:
  """Writes one channel, float in [-1, 1], as 16-bit PCM."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('pcm_s16le', rate=rate, layout='mono')
    frame = av.AudioFrame.from_ndarray(np.rint(32000 * samples).astype(np.int16)[None], format='s16', layout='mono')
    frame.sample_rate = rate
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path
