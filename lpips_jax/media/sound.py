"""Speech out of any file that has a sound track, and into a WAV file."""

import math
import os
import wave
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from lpips_jax.cli import UserError
from lpips_jax.media.audio import SAMPLE_RATE
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.video import picture_start

MOST_CHANNELS = 7  # FFmpeg's resampler crashes on more
LOUDEST = 1000.0  # times full scale, from which samples are in some other unit
LONGEST_PADDING = 2048  # samples by which a decoder may overrun the end: a block of AAC at 8 kHz
SHORTEST_HOLE, LONGEST_HOLE = Fraction(1, 50), Fraction(60)  # seconds; longer ones are mistakes of the clock
LONGEST_DELAY = 600  # seconds between the starts of sound and picture; more is a mistake of the clock


def load_speech(path: str | os.PathLike[str]) -> np.ndarray:
  """Reads the first sound track of a sound or video file as the networks hear it.

  Args:
    path: a file of any container and codec that FFmpeg knows.

  Returns:
    (S,) float32 in about [-1, 1], one channel, at 16 kHz, S >= 1, from the first sample of the track on. Where sound
    is missing on the way, such as in a damaged file, there is silence of the same length.

  Raises:
    UserError: the file cannot be read, has no sound track, no samples in it, or some that are not finite or far beyond
      full scale.
  """
  return load_timed_speech(path)[1]


def load_timed_speech(path: str | os.PathLike[str], longest: float = math.inf) -> tuple[Fraction, np.ndarray]:
  """Like `load_speech`, after the time of the first sample, in seconds of the file's clock, as pictures have them.

  Raises:
    UserError: as `load_speech`; or it is longer than `longest` seconds, of which no more are then read.
  """
  with open_media(path) as container:
    if not container.streams.audio:
      raise UserError(f'{path} has no sound track')
    channels = container.streams.audio[0].codec_context.channels
    if channels > MOST_CHANNELS:
      raise UserError(f'{path} has {channels} channels of sound: mix them down to {MOST_CHANNELS} or fewer')
    start, pieces = _mono(container, longest)
    length = _length(container.streams.audio[0])
  samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
  if len(samples) > longest * SAMPLE_RATE:
    raise UserError(f'{path} is longer than {longest / 60:g} minutes: cut it, or raise --max_minutes')
  if samples.size == 0:
    raise UserError(f'{path} has a sound track without samples')
  peak = np.abs(samples).max()
  if not np.isfinite(peak):
    raise UserError(f'{path} has samples that are not finite numbers')
  if peak > LOUDEST:
    raise UserError(f'{path} has samples of {peak:.3g} times full scale: scale them to [-1, 1]')
  padding = len(samples) - length
  return start, samples[:length] if 0 < padding <= LONGEST_PADDING else samples


def load_driving_speech(path: str | os.PathLike[str], longest: float = math.inf) -> tuple[Fraction, np.ndarray]:
  """Like `load_timed_speech`, as it is heard from the first frame of a video on that is to speak it.

  Returns:
    How many seconds after that frame the track starts, which is what lies between sound and picture of its own file, 0
    where that has no moving picture; and the samples, after silence if the sound is late, without what comes too early.

  Raises:
    UserError: as `load_timed_speech`; or all of the sound comes before the picture.
  """
  start, samples = load_timed_speech(path, longest)
  with open_media(path) as container:
    picture = picture_start(container)
  delay = Fraction(0) if picture is None else start - picture
  if abs(delay) > LONGEST_DELAY:
    raise UserError(f'the sound and the picture of {path} start {abs(float(delay)):.0f} s apart')
  shift = round(delay * SAMPLE_RATE)
  if -shift >= len(samples):
    raise UserError(f'all of the sound of {path} comes before its picture')
  return delay, np.pad(samples[max(0, -shift) :], (max(0, shift), 0))


def write_speech(path: Path, audio: np.ndarray) -> None:
  """Writes (S,) int16 samples at 16 kHz as a WAV file, whole or not at all."""
  part = path.with_name(f'{path.stem}.part{path.suffix}')
  with wave.open(str(part), 'wb') as file:
    file.setparams((1, 2, SAMPLE_RATE, 0, 'NONE', 'not compressed'))
    file.writeframes(audio.astype('<i2').tobytes())
  os.replace(part, path)


def _length(stream: av.audio.stream.AudioStream) -> int:
  """Returns how many samples the container says there are, 0 if it does not say: AAC comes in blocks of 1024."""
  return 0 if stream.duration is None else round(stream.duration * stream.time_base * SAMPLE_RATE)


def _mono(container: av.container.InputContainer, longest: float) -> tuple[Fraction, list[np.ndarray]]:
  """Returns when the track starts, and its pieces: resampled once, then the mean of its channels.

  (FFmpeg's own mix is 3 dB louder.) A piece that reaches past `longest` seconds is the last.
  """
  stream = container.streams.audio[0]
  resampler = av.AudioResampler(format='fltp', rate=SAMPLE_RATE)
  start, pieces, length = Fraction(0), [], 0
  for number, frame in enumerate(_without_holes(decode(container, stream))):
    if number == 0 and frame.pts is not None:
      start = frame.pts * frame.time_base
    frame.pts = None  # the resampler then counts samples, and has no times to be confused by
    pieces += [piece.to_ndarray().mean(axis=0) for piece in resampler.resample(frame)]
    length += frame.samples / frame.sample_rate
    if length > longest:
      break
  if pieces:
    pieces += [piece.to_ndarray().mean(axis=0) for piece in resampler.resample(None)]
  return start, pieces


def _without_holes(frames: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
  """Yields the frames with silence wherever, by their times, some are missing."""
  expected = None  # seconds: when the next frame should begin
  for frame in frames:
    if frame.pts is not None:
      time = frame.pts * frame.time_base
      if expected is not None and SHORTEST_HOLE <= time - expected <= LONGEST_HOLE:
        yield _silence(frame, round((time - expected) * frame.sample_rate))
      expected = time
    if expected is not None:
      expected += Fraction(frame.samples, frame.sample_rate)
    yield frame


def _silence(like: av.AudioFrame, samples: int) -> av.AudioFrame:
  planes = like.to_ndarray()
  channels = 1 if like.format.is_planar else like.layout.nb_channels
  silence = np.zeros((len(planes), samples * channels), planes.dtype)
  silence += np.uint8(128) if planes.dtype == np.uint8 else planes.dtype.type(0)  # unsigned samples rest in the middle
  frame = av.AudioFrame.from_ndarray(silence, format=like.format.name, layout=like.layout.name)
  frame.sample_rate = like.sample_rate
  return frame
