"""Films for the tests of reading, of frames as FFmpeg holds them."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIDES = 48, 64  # height and width


def corners(height: int = SIDES[0], width: int = SIDES[1]) -> np.ndarray:
  """A picture that looks different in each of the eight ways that it may lie, (h, w, 3) uint8."""
  picture = np.full((height, width, 3), 128, np.uint8)
  half = height // 2, width // 2
  picture[: half[0], : half[1]] = 230
  picture[: half[0], half[1] :] = 30
  return picture


def frame_of(rgb: np.ndarray, form: str = 'yuv420p', pts: int = 0, rate: Fraction = Fraction(25)) -> av.VideoFrame:
  """A frame of a picture, (h, w, 3) or, with transparency, (h, w, 4) uint8."""
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
  """Writes pictures as they are, at `times`, or one after the other, in frames of `rate`."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=rate, options={'crf': '4'} if options is None else options)
    for k, frame in enumerate(frames):
      frame = frame_of(frame, form) if isinstance(frame, np.ndarray) else frame
      if k == 0:
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, form
      frame.pts, frame.time_base = times[k] if times else k, 1 / Fraction(rate)
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path
