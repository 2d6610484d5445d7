"""Videos for the tests of preparation: procedural faces, filmed as cameras and broadcasters do."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.media.audio import SAMPLE_RATE

SIDE = 160  # pixels, as LRS2 has them


def face_frames(number: int, seconds: float, side: int = SIDE) -> tuple[list[np.ndarray], np.ndarray]:
  """The frames, 25 a second, and the sound, float in [-1, 1], of a speaker."""
  clip = draw_clip(9, 'train', number, 0, seconds)
  return list(clip.scene(side)), clip.audio / np.float32(32768)


def write_mp4(
  path: Path,
  frames: Iterable[np.ndarray],
  samples: np.ndarray | None,
  rate: Fraction = Fraction(25),
  sound_rate: int = SAMPLE_RATE,
  sound_start: Fraction = Fraction(0),
  times: Sequence[int] | None = None,
) -> Path:
  """Writes h264 and AAC, as broadcasters do.

  `samples` are float in [-1, 1] at `sound_rate`, or None for no sound; `times` are those of the frames, in frames.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  frames = list(frames)
  with av.open(str(path), 'w', format='mp4') as output:
    picture = output.add_stream('libx264', rate=rate, options={'crf': '18', 'preset': 'veryfast'})
    picture.height, picture.width = frames[0].shape[:2]
    picture.pix_fmt = 'yuv420p'
    sound = None if samples is None else output.add_stream('aac', rate=sound_rate, layout='mono')
    for k, frame in enumerate(frames):
      coded = av.VideoFrame.from_ndarray(frame, format='rgb24')
      coded.pts, coded.time_base = (times[k] if times else k), 1 / Fraction(rate)
      output.mux(picture.encode(coded))
    output.mux(picture.encode(None))
    if sound is not None:
      heard = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], format='fltp', layout='mono')
      heard.sample_rate, heard.time_base = sound_rate, Fraction(1, sound_rate)
      heard.pts = round(sound_start * sound_rate)
      output.mux(sound.encode(heard))
      output.mux(sound.encode(None))
  return path


def beside(left: list[np.ndarray], right: list[np.ndarray]) -> list[np.ndarray]:
  """Two scenes in one picture."""
  return [np.concatenate(pair, axis=1) for pair in zip(left, right, strict=True)]
