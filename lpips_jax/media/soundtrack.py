"""The sound track of a video that is written: copied from its source wherever the container can hold it."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.media.containers import decode, packets
from lpips_jax.media.ffmpeg import time_of
from lpips_jax.media.speech import resampled

# Codecs that are copied packet by packet, by FFmpeg's name of the container.
COPIED_CODECS = {
  'mp4': ('aac', 'mp3', 'alac', 'flac', 'opus', 'ac3', 'eac3'),
  'mov': ('aac', 'mp3', 'alac', 'ac3', 'eac3', 'pcm_s16le', 'pcm_s24le', 'pcm_s32le', 'pcm_f32le'),
  'matroska': ('aac', 'mp3', 'flac', 'opus', 'vorbis', 'ac3', 'eac3', 'pcm_s16le', 'pcm_s24le', 'pcm_s32le'),
  'webm': ('opus', 'vorbis'),
}
PCM_BYTES = {'pcm_s16le': 2, 'pcm_s24le': 3, 'pcm_s32le': 4, 'pcm_f32le': 4}  # of a sample
# Packets that a decoder needs before the first one heard: transforms overlap, MP3 keeps bits for later, Opus adapts.
PRE_ROLL = {'aac': 1, 'mp3': 2, 'opus': 4, 'vorbis': 1, 'ac3': 1, 'eac3': 1}
MIN_MP3_RATE = 16000  # Hz, in an .mp4: MPEG-4 knows MP3 of MPEG-1 and MPEG-2 alone
AAC_RATES = 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000
AAC_BIT_RATE = 96_000  # of a channel: a generous choice, as the track is encoded once more
MAX_AAC_BITS_PER_SAMPLE = 6  # the format's own limit, 6144 bits in each 1024 samples of a channel
OPUS_RATE = 48000

Piece = av.AudioFrame | av.Packet


class SoundTrack:
  """A sound stream that is written beside the frames of a video.

  Args:
    output: the container that is written, before its first frame.
    source: a container; its first sound track is used.
    path: of the source, for messages.
    delay: seconds from the first frame to the start of the sound; sound before the first frame is cut.

  Raises:
    UserError: the source has no sound track.
  """

  def __init__(
    self,
    output: av.container.OutputContainer,
    source: av.container.InputContainer,
    path: PathLike,
    delay: Fraction,
  ) -> None:
    if not source.streams.audio:
      raise UserError(f'{path} has no sound track')
    track = source.streams.audio[0]
    self._output, self._track = output, track
    self._encoder = None if _can_be_copied(track, output.format.name) else _add_encoder(output, track)
    self._pieces: Iterator[Piece] = (
      _copied(source, track, output.add_stream_from_template(track), delay)
      if self._encoder is None
      else _decoded(source, track, self._encoder, delay)
    )
    self._waiting = self._next()

  def write_until(self, time: Fraction) -> None:
    """Writes the sound before a time, in seconds from the first frame on; a piece that lasts longer waits."""
    while self._waiting is not None and _end(self._waiting) <= time:
      self._write(self._waiting)
      self._waiting = self._next()

  def finish(self, end: Fraction | None) -> None:
    """Writes the rest up to a time, to the sample; a copied track, unless it is PCM, ends with a whole packet."""
    if end is None:
      while self._waiting is not None:
        self._write(self._waiting)
        self._waiting = self._next()
    else:
      self.write_until(end)
      if self._waiting is not None and _begin(self._waiting) < end:
        self._write(self._shortened(self._waiting, end))
    if self._encoder is not None:
      self._output.mux(self._encoder.encode(None))

  def _next(self) -> Piece | None:
    return next(self._pieces, None)

  def _shortened(self, piece: Piece, end: Fraction) -> Piece:
    if isinstance(piece, av.Packet):
      return _packet_until(piece, self._track, end)
    return _frame_part(piece, 0, max(1, round((end - _begin(piece)) * piece.sample_rate)))

  def _write(self, piece: Piece) -> None:
    if isinstance(piece, av.Packet):
      self._output.mux(piece)
    elif self._encoder is not None:
      self._output.mux(self._encoder.encode(piece))


def _can_be_copied(track: av.audio.stream.AudioStream, container: str) -> bool:
  codec = track.codec_context
  name = codec.codec.canonical_name
  raw_aac = name == 'aac' and not codec.extradata_size  # ADTS frames, which other containers do not hold
  slow_mp3 = name == 'mp3' and container == 'mp4' and track.sample_rate < MIN_MP3_RATE
  return name in COPIED_CODECS[container] and not raw_aac and not slow_mp3


def _add_encoder(
  output: av.container.OutputContainer, track: av.audio.stream.AudioStream
) -> av.audio.stream.AudioStream:
  layout = 'mono' if track.channels == 1 else 'stereo'
  if output.format.name == 'webm':
    return output.add_stream('libopus', rate=OPUS_RATE, layout=layout)
  rate = min((r for r in AAC_RATES if r >= track.sample_rate), default=48000)
  encoder = output.add_stream('aac', rate=rate, layout=layout)
  encoder.bit_rate = min(AAC_BIT_RATE, MAX_AAC_BITS_PER_SAMPLE * rate) * (1 if layout == 'mono' else 2)
  return encoder


def _copied(
  source: av.container.InputContainer,
  track: av.audio.stream.AudioStream,
  stream: av.audio.stream.AudioStream,
  delay: Fraction,
) -> Iterator[av.Packet]:
  """Yields packets from the first sample that is heard; those that a decoder needs before it have negative times."""
  shift = round(delay / Fraction(track.time_base or 1)) - (track.start_time or 0)
  unheard: deque[av.Packet] = deque(maxlen=PRE_ROLL.get(track.codec_context.codec.canonical_name, 0))
  begun = False
  for packet in packets(source, track):
    if packet.dts is not None and packet.pts is not None:
      packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
      packet.stream = stream
      if packet.is_discard or (delay < 0 and _end(packet) <= 0):  # cut by an editor, or by the picture
        unheard.append(packet)
        continue
      yield from () if begun else unheard
      begun = True
      yield _packet_from(packet, track, Fraction(0))


def _decoded(
  source: av.container.InputContainer,
  track: av.audio.stream.AudioStream,
  stream: av.audio.stream.AudioStream,
  delay: Fraction,
) -> Iterator[av.AudioFrame]:
  context = stream.codec_context
  place = round(delay * context.sample_rate)
  for frame in resampled(decode(source, track), context.layout, context.sample_rate):
    frame.pts, frame.time_base = place, Fraction(1, context.sample_rate)
    unheard = max(0, -place)
    place += frame.samples
    if unheard < frame.samples:
      yield _frame_part(frame, unheard, frame.samples) if unheard else frame


def _begin(piece: Piece) -> Fraction:
  time = time_of(piece)
  assert time is not None  # `_copied` leaves others out, and `_decoded` counts
  return time


def _end(piece: Piece) -> Fraction:
  if isinstance(piece, av.AudioFrame):
    return _begin(piece) + Fraction(piece.samples, piece.sample_rate)
  return _begin(piece) + (piece.duration or 0) * Fraction(piece.time_base)


def _packet_from(packet: av.Packet, track: av.audio.stream.AudioStream, begin: Fraction) -> av.Packet:
  """Returns the part of a packet after a time; all of it if it cannot be divided, or begins later."""
  first = round((begin - _begin(packet)) * track.sample_rate)
  return _packet_part(packet, track, first, None) if first > 0 and _sample_bytes(track) else packet


def _packet_until(packet: av.Packet, track: av.audio.stream.AudioStream, end: Fraction) -> av.Packet:
  """Returns the part of a packet before a time; all of it, with a shorter duration, if it cannot be divided."""
  if _sample_bytes(track):
    return _packet_part(packet, track, 0, max(1, round((end - _begin(packet)) * track.sample_rate)))
  packet.duration = min(packet.duration or 0, max(1, round((end - _begin(packet)) / packet.time_base)))
  return packet


def _sample_bytes(track: av.audio.stream.AudioStream) -> int:
  """Returns the bytes of one sample of all channels, 0 if samples are not coded one by one."""
  return PCM_BYTES.get(track.codec_context.codec.canonical_name, 0) * track.channels


def _packet_part(packet: av.Packet, track: av.audio.stream.AudioStream, first: int, end: int | None) -> av.Packet:
  """Returns samples first..end-1 of a PCM packet."""
  size, tick = _sample_bytes(track), packet.time_base * track.sample_rate  # the latter in samples
  content = bytes(packet)[first * size : None if end is None else end * size]
  part = av.Packet(content)
  part.pts = part.dts = (packet.pts or 0) + round(first / tick)
  part.duration = round(len(content) // size / tick)
  part.time_base, part.stream = packet.time_base, packet.stream
  return part


def _frame_part(frame: av.AudioFrame, first: int, end: int) -> av.AudioFrame:
  """Returns samples first..end-1 of a frame of planar floats."""
  samples = np.ascontiguousarray(frame.to_ndarray()[:, first:end], np.float32)
  part = av.AudioFrame.from_ndarray(samples, format='fltp', layout=frame.layout.name)
  part.sample_rate, part.pts, part.time_base = frame.sample_rate, (frame.pts or 0) + first, frame.time_base
  return part
