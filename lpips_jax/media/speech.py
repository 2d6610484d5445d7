"""Reading speech from any file that has a sound track, and writing it as WAV."""

import io
import itertools
import math
import wave
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from lpips_jax.audio.chunks import ChunkedArray, shifted, whole
from lpips_jax.audio.downmix import Downmixer
from lpips_jax.core.constants import SAMPLE_RATE
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, write_whole
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.ffmpeg import time_of
from lpips_jax.media.video_reader import picture_start

MAX_CHANNELS = 7  # FFmpeg's resampler crashes on more
MAX_PEAK = 1000.0  # times full scale: louder samples are in some other unit
EXACT_CONTAINERS = ('mov,mp4,m4a,3gp,3g2,mj2',)  # these know their length; others guess it, or just end
MAX_PADDING = 2048  # samples by which a decoder may overrun the end: a block of AAC at 8 kHz
MIN_GAP, MAX_GAP = Fraction(1, 50), Fraction(60)  # seconds of missing sound; longer gaps are mistakes of the clock
MAX_DELAY = 600  # seconds between the starts of sound and picture; more is a mistake of the clock


def load_speech(path: PathLike) -> np.ndarray:
  """Reads the first sound track of a sound or video file, as the networks hear it.

  Args:
    path: a file of any container and codec that FFmpeg knows.

  Returns:
    (S,) float32 in about [-1, 1], one channel, at 16 kHz, S >= 1, from the first sample of the track on. Missing
    sound, such as in a damaged file, is replaced by silence of the same length. Several channels become their mean, or,
    where that would cancel them, the loudest one: see `audio.downmix`.

  Raises:
    UserError: the file cannot be read, or has no sound track, no samples, or samples that are not finite or far beyond
      full scale.
  """
  return load_timed_speech(path)[1]


def load_timed_speech(path: PathLike) -> tuple[Fraction, np.ndarray]:
  """Reads speech after the time of its first sample, in seconds of the clock that the file's pictures have, too."""
  start, speech = open_speech(path)
  return start, whole(speech)


def open_speech(path: PathLike, max_minutes: float = math.inf) -> tuple[Fraction, ChunkedArray]:
  """Opens the speech that `load_timed_speech` returns; samples are read from the file when they are sliced.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    max_minutes: the longest speech that is accepted; no more of it is read.

  Raises:
    UserError: as for `load_speech`; or the speech is longer than `max_minutes`. Slicing the samples raises one, too, if
      the file has changed meanwhile.
  """
  with open_media(path) as container:
    if not container.streams.audio:
      raise UserError(f'{path} has no sound track')
    if container.streams.audio[0].codec_context is None:
      raise UserError(f'{path} has a sound track whose codec is not known')
    channels = container.streams.audio[0].codec_context.channels
    if channels > MAX_CHANNELS:
      raise UserError(f'{path} has {channels} channels of sound: mix them down to {MAX_CHANNELS} or fewer')
    heard = _listen(container, path, max_minutes)
    known = _known_length(container)
  length = known if known and 0 < heard.samples - known <= MAX_PADDING else heard.samples
  return heard.start, ChunkedArray(lambda: _read(path, heard.mixer.weights(), length), length)


def load_driving_speech(path: PathLike, max_minutes: float = math.inf) -> tuple[Fraction, ChunkedArray]:
  """Opens speech for a dub: it starts with the first frame of the video that is to speak it.

  Args:
    path: a file of any container and codec that FFmpeg knows.
    max_minutes: the longest speech that is accepted.

  Returns:
    The seconds from that frame to the start of the track, which are those between picture and sound of its own file, 0
    if that has no moving picture; and the samples, after silence if the sound is late, cut if it comes too early.

  Raises:
    UserError: as for `open_speech`; or all of the sound comes before the picture.
  """
  start, speech = open_speech(path, max_minutes)
  with open_media(path) as container:
    picture = picture_start(container)
  delay = Fraction(0) if picture is None else start - picture
  if abs(delay) > MAX_DELAY:
    raise UserError(f'the sound and the picture of {path} start {abs(float(delay)):.0f} s apart')
  shift = round(delay * SAMPLE_RATE)
  if -shift >= len(speech):
    raise UserError(f'all of the sound of {path} comes before its picture')
  return delay, shifted(speech, shift)


def write_speech(path: Path, audio: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
  """Writes (S,) int16 samples of `sample_rate` Hz as a WAV file, whole or not at all."""
  content = io.BytesIO()
  with wave.open(content, 'wb') as file:
    file.setparams((1, 2, sample_rate, 0, 'NONE', 'not compressed'))
    file.writeframes(audio.astype('<i2').tobytes())
  write_whole(path, content.getvalue())


def _known_length(container: av.container.InputContainer) -> int:
  """Returns the number of samples by the container's own account, 0 if it has none: AAC comes in blocks of 1024."""
  stream = container.streams.audio[0]
  if container.format.name not in EXACT_CONTAINERS or stream.duration is None or stream.time_base is None:
    return 0
  return round(stream.duration * stream.time_base * SAMPLE_RATE)


class _Heard(NamedTuple):
  """A track after a first reading.

  Attributes:
    start: in seconds of the file's clock.
    samples: their number.
    mixer: has heard them, and knows how channels are mixed.
  """

  start: Fraction
  samples: int
  mixer: Downmixer


def _listen(container: av.container.InputContainer, path: PathLike, max_minutes: float) -> _Heard:
  """Reads a track once, and raises UserError if there is something wrong with it."""
  start, samples, mixer = Fraction(0), 0, Downmixer()
  for time, piece, layout in _resampled(container):
    start = time if samples == 0 else start
    samples += piece.shape[1]
    mixer.hear(piece, layout)
    if samples > 60 * max_minutes * SAMPLE_RATE:
      raise UserError(f'{path} is longer than {max_minutes:g} minutes: cut it, or raise max_minutes', 'max_minutes')
    peak = np.abs(piece).max(initial=0)
    if not np.isfinite(peak):
      raise UserError(f'{path} has samples that are not finite numbers')
    if peak > MAX_PEAK:
      raise UserError(f'{path} has samples of {peak:.3g} times full scale: scale them to [-1, 1]')
  if samples == 0:
    raise UserError(f'{path} has a sound track without samples')
  return _Heard(start, samples, mixer)


def _read(path: PathLike, weights: np.ndarray, length: int) -> Iterator[np.ndarray]:
  """Yields `length` samples of the mixed channels, in pieces."""
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
  """Yields the track in pieces: its start in seconds, (channels, n) float32 at 16 kHz, and FFmpeg's channel names."""
  frames = _without_gaps(decode(container, container.streams.audio[0]))
  first = next(frames, None)
  if first is None:
    return
  start = time_of(first) or Fraction(0)
  names = [channel.name for channel in first.layout.channels]
  for piece in resampled(itertools.chain([first], frames), first.layout, SAMPLE_RATE):
    yield start, piece.to_ndarray(), names


def resampled(frames: Iterable[av.AudioFrame], layout: av.AudioLayout, rate: int) -> Iterator[av.AudioFrame]:
  """Yields a track as planar floats of one layout and rate, without times, even if it changes both on the way."""
  resampler: av.AudioResampler | None = None
  setup = None
  for frame in frames:
    found = frame.format.name, frame.layout.name, frame.sample_rate
    if resampler is None or found != setup:
      yield from () if resampler is None else resampler.resample(None)
      resampler, setup = av.AudioResampler(format='fltp', layout=layout, rate=rate), found
    frame.pts = None  # the resampler then counts samples, and has no times to be confused by
    yield from resampler.resample(frame)
  yield from () if resampler is None else resampler.resample(None)


def _without_gaps(frames: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
  """Yields the frames, and silence where their times show that some are missing."""
  expected: Fraction | None = None  # seconds: when the next frame should begin
  for frame in frames:
    time = time_of(frame)
    if time is not None:
      if expected is not None and MIN_GAP <= time - expected <= MAX_GAP:
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
