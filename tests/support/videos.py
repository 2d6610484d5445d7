"""Videos of procedural faces, as cameras and broadcasters make them."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.core.constants import SAMPLE_RATE
from lpips_jax.media.ffmpeg import filtered

SIDE = 160  # pixels, as LRS2 has them


def face_frames(number: int, seconds: float, side: int = SIDE) -> tuple[list[np.ndarray], np.ndarray]:
  """Returns the frames of a speaker, 25 a second, and the sound, float in [-1, 1]."""
  clip = draw_clip(9, 'train', number, 0, seconds)
  return list(clip.scene(side)), clip.audio / np.float32(32768)


def write_mp4(
  path: Path,
  frames: Iterable[np.ndarray | av.VideoFrame],
  samples: np.ndarray | None,
  rate: Fraction = Fraction(25),
  sound_rate: int = SAMPLE_RATE,
  sound_start: Fraction = Fraction(0),
  times: Sequence[int] | None = None,
  options: dict[str, str] | None = None,
) -> Path:
  """Writes h264 and AAC, as broadcasters do.

  `frames` are (h, w, 3) uint8, or FFmpeg's; `samples` are float in [-1, 1] at `sound_rate`, or None for no sound;
  `times` are those of the frames, in frames.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  frames = list(frames)
  with av.open(str(path), 'w', format='mp4') as output:
    picture = output.add_stream('libx264', rate=rate, options={'crf': '18', 'preset': 'veryfast'} | (options or {}))
    first = frames[0]
    picture.height, picture.width = first.shape[:2] if isinstance(first, np.ndarray) else (first.height, first.width)
    picture.pix_fmt = 'yuv420p'
    sound = output.add_stream('aac', rate=sound_rate, layout='mono') if samples is not None else None
    for k, frame in enumerate(frames):
      coded = av.VideoFrame.from_ndarray(frame, format='rgb24') if isinstance(frame, np.ndarray) else frame
      coded.pts, coded.time_base = (times[k] if times else k), 1 / Fraction(rate)
      output.mux(picture.encode(coded))
    output.mux(picture.encode(None))
    if sound is not None and samples is not None:
      heard = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], format='fltp', layout='mono')
      heard.sample_rate, heard.time_base = sound_rate, Fraction(1, sound_rate)
      heard.pts = round(sound_start * sound_rate)
      output.mux(sound.encode(heard))
      output.mux(sound.encode(None))
  return path


def as_interlaced(picture: np.ndarray) -> av.VideoFrame:
  """Returns a frame of a picture, (h, w, 3) uint8, whose even rows were filmed before its odd ones."""
  frame = av.VideoFrame.from_ndarray(picture, format='rgb24').reformat(format='yuv420p')
  frame.pts, frame.time_base = 0, Fraction(1, 25)
  return filtered(frame, ('setfield', 'tff'))


def set_matrix(path: Path, a: float, b: float, c: float, d: float) -> Path:
  """Changes the display matrix of an mp4: x, y is shown at a x + c y, b x + d y."""
  content = bytearray(path.read_bytes())
  matrix = content.index(b'tkhd') + 44  # version and flags, times, ids, layer, volume: then nine 16.16 numbers
  numbers = [round(0x10000 * x) for x in (a, b, 0, c, d, 0, 0, 0)] + [1 << 30]
  content[matrix : matrix + 36] = b''.join(x.to_bytes(4, 'big', signed=True) for x in numbers)
  path.write_bytes(content)
  return path


def beside(left: list[np.ndarray], right: list[np.ndarray]) -> list[np.ndarray]:
  """Returns two scenes side by side in one picture."""
  return [np.concatenate(pair, axis=1) for pair in zip(left, right, strict=True)]
