"""Writing an mp4: frames as they come, with a sound track, complete or not at all."""

import contextlib
import itertools
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from lpips_jax.cli import UserError
from lpips_jax.conventions import FRAME_RATE
from lpips_jax.media.containers import decode, open_media, reason
from lpips_jax.media.sound import write_speech
from lpips_jax.media.video import UNSPECIFIED_MATRIX, VideoInfo

SUFFIXES = '.mp4', '.m4v', '.mov'
# Measured on the first 60 frames of six clips of real faces against their decoded source: the worst frame keeps 40 dB
# in the noisiest of them and 43 dB to 47 dB in the others. The preset buys speed: at crf 16 the next slower one gave
# 0.6 dB to 1 dB more at much the same size (three clips), and was a fifth to a third slower.
VIDEO_OPTIONS = {'crf': '14', 'preset': 'veryfast'}
AAC_RATES = 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000
AAC_BITS = 96_000  # a second and channel: a generous choice, as the track is encoded once more
AAC_BITS_PER_SAMPLE = 6  # the format's own limit, 6144 bits in each 1024 samples of a channel
KEPT_MATRICES = 1, 4, 5, 6, 7, 9  # those that FFmpeg's scaler can produce; H.273's numbers
BT601 = 6  # the matrix of still images (JFIF), and what readers that ignore the tag assume


@contextlib.contextmanager
def write_video(
  path: str | os.PathLike[str],
  info: VideoInfo,
  sound: str | os.PathLike[str] | None = None,
  seconds: Fraction | None = None,
) -> Iterator[Callable[[np.ndarray], None]]:
  """Opens an mp4 (h264, yuv420p) for writing; it appears under its name once it is complete.

  Colours are stored with the matrix that `info` names, so that pixels which come from that video come back unchanged.
  Pictures of odd width or height get one repeated column or row: h264 in 4:2:0 has even sides.

  Args:
    path: where to write, ending in .mp4, .m4v or .mov.
    info: size, frame rate and colours, as `probe` gives them.
    sound: a file whose first sound track goes into the video: copied if it is AAC, else encoded as AAC at its own
      sample rate. It starts with the first frame and, if it is the shorter, ends before the last one.
    seconds: where to cut the sound; the whole of it by default.

  Yields:
    A function that writes one frame, (height, width, 3) uint8 RGB.

  Raises:
    UserError: the file cannot be written, or the sound cannot be read.
  """
  path = Path(path)
  check_output(path)
  part = path.with_name(f'.{secrets.token_hex(8)}{path.suffix}')  # a name that nobody else has
  try:
    with contextlib.ExitStack() as stack:
      output = stack.enter_context(av.open(f'file:{part}', 'w', format='mp4', options={'movflags': '+faststart'}))
      picture = _add_picture(output, info)
      packets = iter(())
      if sound is not None:
        packets = _sound_packets(output, stack.enter_context(open_media(sound)), sound, seconds)
      yield _frame_writer(output, picture, info, packets)
      output.mux(picture.encode(None))
      for _, packet in packets:
        output.mux(packet)
    os.replace(part, path)
  except (av.FFmpegError, OSError) as error:
    raise UserError(f'{path} cannot be written: {reason(error)}') from error
  finally:
    part.unlink(missing_ok=True)


def write_clip(path: Path, frames: Iterable[np.ndarray], size: tuple[int, int], speech: np.ndarray | None) -> None:
  """Writes an mp4 of frames (h, w, 3) uint8, of size (h, w), at 25 a second, with speech (s,) int16 at 16 kHz."""
  with tempfile.TemporaryDirectory() as directory:
    sound = None if speech is None else Path(directory) / 'speech.wav'
    if sound is not None:
      write_speech(sound, speech)
    with write_video(path, VideoInfo(*reversed(size), Fraction(FRAME_RATE)), sound) as write:
      for frame in frames:
        write(frame)


def check_output(path: str | os.PathLike[str]) -> None:
  """Raises UserError unless a video can be written at this path, before any work is done for it."""
  path = Path(path)
  if path.suffix.lower() not in SUFFIXES:
    raise UserError(f'the output {path} must end in {", ".join(SUFFIXES[:-1])} or {SUFFIXES[-1]}')
  if path.is_dir():
    raise UserError(f'the output {path} is a directory')
  if not path.parent.is_dir():
    raise UserError(f'the output directory {path.parent} does not exist: create it first')
  try:
    with tempfile.TemporaryFile(dir=path.parent):
      pass
  except OSError as error:
    raise UserError(f'the output directory {path.parent} cannot be written: {reason(error)}') from error


def _add_picture(output: av.container.OutputContainer, info: VideoInfo) -> av.video.stream.VideoStream:
  stream = output.add_stream('libx264', rate=info.rate, options=VIDEO_OPTIONS)
  stream.width, stream.height = info.width + info.width % 2, info.height + info.height % 2
  stream.pix_fmt = 'yuv420p'
  context = stream.codec_context
  context.colorspace, _ = _matrix(info)
  context.color_primaries, context.color_trc = info.primaries, info.transfer
  context.color_range = ColorRange.MPEG
  return stream


def _matrix(info: VideoInfo) -> tuple[int, int]:
  """Returns the matrix to name in the file and the one to convert with.

  Where the source names none, the output names none either and uses FFmpeg's default, as its decoding did.
  """
  if info.matrix == UNSPECIFIED_MATRIX and not info.still:
    return UNSPECIFIED_MATRIX, Colorspace.ITU601
  if info.matrix in KEPT_MATRICES:
    return info.matrix, info.matrix
  return BT601, Colorspace.ITU601


def _frame_writer(
  output: av.container.OutputContainer,
  stream: av.video.stream.VideoStream,
  info: VideoInfo,
  sound: Iterator[tuple[Fraction, av.Packet]],
) -> Callable[[np.ndarray], None]:
  """Returns the function that encodes one frame, and the sound that belongs beside it."""
  _, matrix = _matrix(info)
  interpolation = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
  written, waiting = 0, next(sound, None)

  def write(rgb: np.ndarray) -> None:
    nonlocal written, waiting
    if rgb.shape != (info.height, info.width, 3):
      raise ValueError(f'a frame of this video has shape {(info.height, info.width, 3)}, not {rgb.shape}')
    even = np.pad(rgb, ((0, info.height % 2), (0, info.width % 2), (0, 0)), 'edge')
    frame = av.VideoFrame.from_ndarray(even, format='rgb24')
    frame = frame.reformat(format='yuv420p', dst_colorspace=matrix, interpolation=interpolation)
    frame.pts, frame.time_base = written, 1 / info.rate
    output.mux(stream.encode(frame))
    written += 1
    while waiting is not None and waiting[0] * info.rate <= written:
      output.mux(waiting[1])
      waiting = next(sound, None)

  return write


def _sound_packets(
  output: av.container.OutputContainer,
  source: av.container.InputContainer,
  path: str | os.PathLike[str],
  seconds: Fraction | None,
) -> Iterator[tuple[Fraction, av.Packet]]:
  """Adds a sound stream now, and returns an iterator over its packets, each with its time in seconds."""
  if not source.streams.audio:
    raise UserError(f'{path} has no sound track')
  track = source.streams.audio[0]
  whole = seconds is None or (track.duration is not None and track.duration * track.time_base <= seconds)
  if whole and track.codec_context.name == 'aac' and track.codec_context.extradata_size:
    return _copied(source, track, output.add_stream_from_template(track))
  rate = min((r for r in AAC_RATES if r >= track.sample_rate), default=48000)
  layout = 'mono' if track.channels == 1 else 'stereo'
  encoder = output.add_stream('aac', rate=rate, layout=layout)
  encoder.bit_rate = min(AAC_BITS, AAC_BITS_PER_SAMPLE * rate) * (1 if layout == 'mono' else 2)
  return _encoded(source, track, encoder, None if seconds is None else round(seconds * rate))


def _copied(source, track, stream) -> Iterator[tuple[Fraction, av.Packet]]:
  """Starts at the first sample that is heard: what an encoder needs before it lies at negative times."""
  start = track.start_time or 0
  for packet in source.demux(track):
    if packet.dts is None:
      continue
    packet.pts, packet.dts = packet.pts - start, packet.dts - start
    packet.stream = stream
    yield packet.dts * packet.time_base, packet


def _encoded(source, track, stream, limit: int | None) -> Iterator[tuple[Fraction, av.Packet]]:
  context = stream.codec_context
  resampler = av.AudioResampler(format='fltp', layout=context.layout, rate=context.sample_rate)
  written = 0
  frames = (piece for frame in itertools.chain(decode(source, track), [None]) for piece in resampler.resample(frame))
  for frame in frames:
    if limit is not None and written + frame.samples > limit:
      frame = _shortened(frame, limit - written)
    if frame is None:
      break
    frame.pts, frame.time_base = written, Fraction(1, context.sample_rate)
    written += frame.samples
    yield from ((packet.dts * packet.time_base, packet) for packet in stream.encode(frame))
  yield from ((packet.dts * packet.time_base, packet) for packet in stream.encode(None))


def _shortened(frame: av.AudioFrame, samples: int) -> av.AudioFrame | None:
  if samples <= 0:
    return None
  short = av.AudioFrame.from_ndarray(
    np.ascontiguousarray(frame.to_ndarray()[:, :samples]), format='fltp', layout=frame.layout.name
  )
  short.sample_rate = frame.sample_rate
  return short
