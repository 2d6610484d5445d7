"""Speech out of any file that has a sound track, and into a WAV file."""

import io
import itertools
import math
import os
import wave
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from lpips_jax.audio.chunks import ChunkedSound, shifted, whole
from lpips_jax.audio.downmix import Downmixer
from lpips_jax.audio.mel import SAMPLE_RATE
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import write_whole
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.video_reader import picture_start

MOST_CHANNELS = 7  # FFmpeg's resampler crashes on more
LOUDEST = 1000.0  # times full scale, from which samples are in some other unit
EXACT_CONTAINERS = ('mov,mp4,m4a,3gp,3g2,mj2',)  # that know how long they are; others guess, or end by themselves
LONGEST_PADDING = 2048  # samples by which a decoder may overrun the end: a block of AAC at 8 kHz
SHORTEST_HOLE, LONGEST_HOLE = Fraction(1, 50), Fraction(60)  # seconds; longer ones are mistakes of the clock
LONGEST_DELAY = 600  # seconds between the starts of sound and picture; more is a mistake of the clock


def load_speech(path: str | os.PathLike[str]) -> np.ndarray:
  """Reads the first sound track of a sound or video file as the networks hear it.

  Args:
    path: a file of any container and codec that FFmpeg knows.

  Returns:
    (S,) float32 in about [-1, 1], one channel, at 16 kHz, S >= 1, from the first sample of the track on. Where sound
    is missing on the way, such as in a damaged file, there is silence of the same length. Of several channels it is the
    mean, or, where that would cancel them, the loudest: see `audio.downmix`.

  Raises:
    UserError: the file cannot be read, has no sound track, no samples in it, or some that are not finite or far beyond
      full scale.
  """
  return load_timed_speech(path)[1]


def load_timed_speech(path: str | os.PathLike[str]) -> tuple[Fraction, np.ndarray]:
  """Like `load_speech`, after the time of the first sample, in seconds of the file's clock, as pictures have them."""
  start, speech = open_speech(path)
  return start, whole(speech)


def open_speech(path: str | os.PathLike[str], longest: float = math.inf) -> tuple[Fraction, ChunkedSound]:
  """Like `load_timed_speech`, but the samples are read from the file as they are wanted: see `audio.chunks`.

  Raises:
    UserError: as `load_speech`; or it is longer than `longest` seconds, of which no more are then read. Whoever reads
      the samples gets one, too, where the file has changed meanwhile.
  """
  with open_media(path) as container:
    if not container.streams.audio:
      raise UserError(f'{path} has no sound track')
    if container.streams.audio[0].codec_context is None:
      raise UserError(f'{path} has a sound track whose codec is not known')
    channels = container.streams.audio[0].codec_context.channels
    if channels > MOST_CHANNELS:
      raise UserError(f'{path} has {channels} channels of sound: mix them down to {MOST_CHANNELS} or fewer')
    heard = _first_hearing(container, path, longest)
    known = _length(container)
  length = known if known and 0 < heard.samples - known <= LONGEST_PADDING else heard.samples
  return heard.start, ChunkedSound(lambda: _read(path, heard.mixer.weights(), length), length)


def load_driving_speech(path: str | os.PathLike[str], longest: float = math.inf) -> tuple[Fraction, ChunkedSound]:
  """Like `open_speech`, as it is heard from the first frame of a video on that is to speak it.

  Returns:
    How many seconds after that frame the track starts, which is what lies between sound and picture of its own file, 0
    where that has no moving picture; and the samples, after silence if the sound is late, without what comes too early.

  Raises:
    UserError: as `open_speech`; or all of the sound comes before the picture.
  """
  start, speech = open_speech(path, longest)
  with open_media(path) as container:
    picture = picture_start(container)
  delay = Fraction(0) if picture is None else start - picture
  if abs(delay) > LONGEST_DELAY:
    raise UserError(f'the sound and the picture of {path} start {abs(float(delay)):.0f} s apart')
  shift = round(delay * SAMPLE_RATE)
  if -shift >= len(speech):
    raise UserError(f'all of the sound of {path} comes before its picture')
  return delay, shifted(speech, shift)


def write_speech(path: Path, audio: np.ndarray) -> None:
  """Writes (S,) int16 samples at 16 kHz as a WAV file, whole or not at all."""
  content = io.BytesIO()
  with wave.open(content, 'wb') as file:
    file.setparams((1, 2, SAMPLE_RATE, 0, 'NONE', 'not compressed'))
    file.writeframes(audio.astype('<i2').tobytes())
  write_whole(path, content.getvalue())


def _length(container: av.container.InputContainer) -> int:
  """Returns how many samples the container knows that there are, 0 if it does not: AAC comes in blocks of 1024."""
  stream = container.streams.audio[0]
  known = container.format.name in EXACT_CONTAINERS and stream.duration is not None
  return round(stream.duration * stream.time_base * SAMPLE_RATE) if known else 0


class _Heard(NamedTuple):
  """What a first reading tells: when the track starts, in seconds, how long it is, and what of it is heard."""

  start: Fraction
  samples: int
  mixer: Downmixer


def _first_hearing(container: av.container.InputContainer, path: str | os.PathLike[str], longest: float) -> _Heard:
  start, samples, mixer = Fraction(0), 0, Downmixer()
  for time, piece, layout in _resampled(container):
    start = time if samples == 0 else start
    samples += piece.shape[1]
    mixer.hear(piece, layout)
    if samples > longest * SAMPLE_RATE:
      raise UserError(f'{path} is longer than {longest / 60:g} minutes: cut it, or raise --max_minutes')
    peak = np.abs(piece).max(initial=0)
    if not np.isfinite(peak):
      raise UserError(f'{path} has samples that are not finite numbers')
    if peak > LOUDEST:
      raise UserError(f'{path} has samples of {peak:.3g} times full scale: scale them to [-1, 1]')
  if samples == 0:
    raise UserError(f'{path} has a sound track without samples')
  return _Heard(start, samples, mixer)


def _read(path: str | os.PathLike[str], weights: np.ndarray, length: int) -> Iterator[np.ndarray]:
  """Yields the samples that are heard, so many of them, in pieces."""
  left = length
  with open_media(path) as container:
    for _, piece, _ in _resampled(container):
      if len(piece) != len(weights):
        break
      heard = (weights @ piece)[:left]
      left -= len(heard)
      if len(heard):
        yield heard
      if not left:
        return
  raise UserError(f'{path} has changed while it was read: try again')


def _resampled(container: av.container.InputContainer) -> Iterator[tuple[Fraction, np.ndarray, Sequence[str]]]:
  """Yields the track in pieces, (channels, n) float32 at 16 kHz, after its start, in seconds, and with its channels."""
  frames = _without_holes(decode(container, container.streams.audio[0]))
  first = next(frames, None)
  if first is None:
    return
  start = Fraction(0) if first.pts is None else first.pts * first.time_base
  names = [channel.name for channel in first.layout.channels]
  for piece in resampled(itertools.chain([first], frames), first.layout, SAMPLE_RATE):
    yield start, piece.to_ndarray(), names


def resampled(frames: Iterable[av.AudioFrame], layout: av.AudioLayout, rate: int) -> Iterator[av.AudioFrame]:
  """Yields a track as planar floats of one layout and rate, without times, whatever it changes to on the way."""
  resampler, setup = None, None
  for frame in frames:
    found = frame.format.name, frame.layout.name, frame.sample_rate
    if found != setup:
      yield from () if resampler is None else resampler.resample(None)
      resampler, setup = av.AudioResampler(format='fltp', layout=layout, rate=rate), found
    frame.pts = None  # the resampler then counts samples, and has no times to be confused by
    yield from resampler.resample(frame)
  yield from () if resampler is None else resampler.resample(None)


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
