"""Speech out of any file that has a sound track."""

import os

import av
import numpy as np

from lpips_jax.cli import UserError
from lpips_jax.media.audio import SAMPLE_RATE
from lpips_jax.media.containers import decode, open_media

MOST_CHANNELS = 8  # FFmpeg's resampler crashes on more
LONGEST_PADDING = 2048  # samples by which a decoder may overrun the end: a block of AAC at 8 kHz


def load_speech(path: str | os.PathLike[str]) -> np.ndarray:
  """Reads the first sound track of a sound or video file as the networks hear it.

  Args:
    path: a file of any container and codec that FFmpeg knows.

  Returns:
    (S,) float32 in about [-1, 1], one channel, at 16 kHz, S >= 1, from the first sample of the track on.

  Raises:
    UserError: the file cannot be read, has no sound track, no samples in it, or samples that are not finite.
  """
  with open_media(path) as container:
    if not container.streams.audio:
      raise UserError(f'{path} has no sound track')
    channels = container.streams.audio[0].codec_context.channels
    if channels > MOST_CHANNELS:
      raise UserError(f'{path} has {channels} channels of sound: mix them down to {MOST_CHANNELS} or fewer')
    pieces = _mono(container)
    length = _length(container.streams.audio[0])
  samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
  if samples.size == 0:
    raise UserError(f'{path} has a sound track without samples')
  if not np.isfinite(samples).all():
    raise UserError(f'{path} has samples that are not finite numbers')
  padding = len(samples) - length
  return samples[:length] if 0 < padding <= LONGEST_PADDING else samples


def _length(stream: av.audio.stream.AudioStream) -> int:
  """Returns how many samples the container says there are, 0 if it does not say: AAC comes in blocks of 1024."""
  return 0 if stream.duration is None else round(stream.duration * stream.time_base * SAMPLE_RATE)


def _mono(container: av.container.InputContainer) -> list[np.ndarray]:
  """Returns the track in pieces: resampled once, then the mean of its channels (FFmpeg's own mix is 3 dB louder)."""
  stream = container.streams.audio[0]
  resampler = av.AudioResampler(format='fltp', rate=SAMPLE_RATE)
  pieces = [piece for frame in decode(container, stream) for piece in resampler.resample(frame)]
  if pieces:
    pieces += resampler.resample(None)
  return [piece.to_ndarray().mean(axis=0) for piece in pieces]
