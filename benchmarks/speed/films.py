"""Synthetic films: procedural speakers of any size, with flashes in a corner and clicks in the speech."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.core.constants import FRAME_RATE, SAMPLE_RATE, SAMPLES_PER_FRAME
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import write_video

MAX_RENDERED_PIXELS = 256  # larger pictures are enlarged
FLASH_PIXELS = 48  # side of the corner that flashes
FLASH_FRAME = 25  # index of the frame that flashes; the click of `speech` comes when it begins
CLICK_AMPLITUDE = 32_000  # of 32,768
SPEECH_GAIN = 0.25


def film(path: Path, width: int, height: int, seconds: int, speaker: int = 0) -> Path:
  """Writes a silent film of a head before a still background, with one flash, at 25 frames per second."""
  clip = draw_clip(0, 'train', speaker, 0, seconds)
  side = min(width, height)
  background = np.random.default_rng(speaker).normal(90, 4, (height, width, 3)).clip(0, 255).astype(np.uint8)
  left, top = (width - side) // 2, (height - side) // 2
  with write_video(path, VideoInfo(width, height, Fraction(FRAME_RATE))) as write:
    for number, scene in enumerate(clip.scene(MAX_RENDERED_PIXELS)):
      frame = background.copy()
      frame[top : top + side, left : left + side] = cv2.resize(scene, (side, side), interpolation=cv2.INTER_CUBIC)
      frame[:FLASH_PIXELS, :FLASH_PIXELS] = 255 if number == FLASH_FRAME else 0
      write(frame)
  return path


def repeated(path: Path, source: Path, times: int) -> Path:
  """Writes a film that plays another several times, without encoding it again; returns its path."""
  with av.open(str(source)) as container, av.open(str(path), 'w') as output:
    source_stream = container.streams.video[0]
    assert source_stream.duration is not None
    copy = output.add_stream_from_template(source_stream)
    packets = [
      (packet.pts, packet.dts, packet)
      for packet in container.demux(source_stream)
      if packet.pts is not None and packet.dts is not None
    ]
    for turn in range(times):
      shift = turn * source_stream.duration
      for pts, dts, packet in packets:
        packet.stream, packet.pts, packet.dts = copy, pts + shift, dts + shift
        output.mux(packet)
  return path


def speech(path: Path, seconds: int, every: int, speaker: int = 1) -> Path:
  """Writes procedural speech as WAV, with a click every `every` seconds, where films of that length flash."""
  words = np.concatenate([draw_clip(0, 'train', speaker, k, 20).audio for k in range(-(-seconds // 20))])
  words = (SPEECH_GAIN * words[: seconds * SAMPLE_RATE]).astype(np.int16)
  words[FLASH_FRAME * SAMPLES_PER_FRAME :: every * SAMPLE_RATE] = CLICK_AMPLITUDE
  write_speech(path, words)
  return path


def clicks_and_flashes(path: Path) -> tuple[np.ndarray, np.ndarray]:
  """Returns the seconds of a film's clicks and flashes, by its own timestamps."""
  flashes: list[float] = []
  clicks: list[tuple[float, float]] = []  # of each audio frame the peak and its time
  with av.open(str(path)) as container:
    previous = 0.0
    for frame in container.decode(video=0):
      light = float(frame.to_ndarray(format='gray')[4 : FLASH_PIXELS - 4, 4 : FLASH_PIXELS - 4].mean())
      if light > 128 > previous:
        assert frame.time is not None
        flashes.append(frame.time)
      previous = light
  with av.open(str(path)) as container:
    loudest = 0.0
    for sound in container.decode(audio=0):
      samples = np.abs(sound.to_ndarray().astype(np.float64)).max(axis=0)
      loudest = max(loudest, samples.max())
      assert sound.time is not None
      peak = int(samples.argmax())
      clicks.append((samples[peak], sound.time + peak / sound.sample_rate))
  return _merged([time for peak, time in clicks if peak > 0.6 * loudest]), np.array(flashes)


def _merged(times: list[float]) -> np.ndarray:
  """Drops repetitions: a click at the border of two audio frames is found in both."""
  return np.array([time for k, time in enumerate(times) if k == 0 or time - times[k - 1] > 0.5])
