"""Films for benchmarks: procedural speakers enlarged to any size, with a flash in a corner that a click goes with."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.audio.mel import SAMPLE_RATE
from lpips_jax.core.constants import FRAME_RATE, SAMPLES_A_FRAME
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import write_video

RENDERED = 256  # pixels: larger pictures are enlarged
PATCH = 48  # pixels: the side of the corner that flashes
FLASHING = 25  # which frame of a film flashes; the click of `speech` comes when it begins
CLICK, SPEECH = 32000, 0.25  # amplitudes: of a click, of 32,768, and of speech, of what it was


def film(path: Path, width: int, height: int, seconds: int, speaker: int = 0) -> Path:
  """Writes a film without sound, 25 frames a second: a head before a still background; one frame of it flashes."""
  clip = draw_clip(0, 'train', speaker, 0, seconds)
  side = min(width, height)
  background = np.random.default_rng(speaker).normal(90, 4, (height, width, 3)).clip(0, 255).astype(np.uint8)
  left, top = (width - side) // 2, (height - side) // 2
  with write_video(path, VideoInfo(width, height, Fraction(FRAME_RATE))) as write:
    for number, scene in enumerate(clip.scene(RENDERED)):
      frame = background.copy()
      frame[top : top + side, left : left + side] = cv2.resize(scene, (side, side), interpolation=cv2.INTER_CUBIC)
      frame[:PATCH, :PATCH] = 255 if number == FLASHING else 0
      write(frame)
  return path


def repeated(path: Path, source: Path, times: int) -> Path:
  """Writes a film that plays another one several times, without coding it anew."""
  with av.open(str(source)) as container, av.open(str(path), 'w') as output:
    picture = container.streams.video[0]
    copy = output.add_stream_from_template(picture)
    packets = [(packet.pts, packet.dts, packet) for packet in container.demux(picture) if packet.dts is not None]
    for turn in range(times):
      shift = turn * picture.duration
      for pts, dts, packet in packets:
        packet.stream, packet.pts, packet.dts = copy, pts + shift, dts + shift
        output.mux(packet)
  return path


def speech(path: Path, seconds: int, every: int, speaker: int = 1) -> Path:
  """Writes procedural speech as WAV, with a click in every so many seconds, where films of that length flash."""
  words = np.concatenate([draw_clip(0, 'train', speaker, k, 20).audio for k in range(-(-seconds // 20))])
  words = (SPEECH * words[: seconds * SAMPLE_RATE]).astype(np.int16)
  words[FLASHING * SAMPLES_A_FRAME :: every * SAMPLE_RATE] = CLICK
  write_speech(path, words)
  return path


def clicks_and_flashes(path: Path) -> tuple[np.ndarray, np.ndarray]:
  """Returns the seconds at which a film clicks and flashes, by its own clock."""
  flashes, clicks = [], []
  with av.open(str(path)) as container:
    before = 0.0
    for frame in container.decode(video=0):
      light = float(frame.to_ndarray(format='gray')[4 : PATCH - 4, 4 : PATCH - 4].mean())
      if light > 128 > before:
        flashes.append(float(frame.time))
      before = light
  with av.open(str(path)) as container:
    loudest = 0.0
    for frame in container.decode(audio=0):
      samples = np.abs(frame.to_ndarray().astype(np.float64)).max(axis=0)
      loudest = max(loudest, samples.max())
      place = int(samples.argmax())
      clicks.append((samples[place], float(frame.time) + place / frame.sample_rate))
  return _one_each([time for size, time in clicks if size > 0.6 * loudest]), np.array(flashes)


def _one_each(times: list[float]) -> np.ndarray:
  """A click at the border of two blocks of sound is seen in both."""
  return np.array([time for k, time in enumerate(times) if k == 0 or time - times[k - 1] > 0.5])
