"""Writing videos: frames as they come, with a sound track; a file appears once it is complete."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import av
import numpy as np
from absl import logging
from av.video.reformatter import ColorRange

from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.errors import UserError, check_choice
from lpips_jax.core.files import PathLike, check_replaceable, whole_file
from lpips_jax.media.containers import open_media, reason
from lpips_jax.media.soundtrack import SoundTrack
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.ycbcr import FORMATS, Planes, from_rgb

CONTAINERS = {'.mp4': 'mp4', '.m4v': 'mp4', '.mov': 'mov', '.mkv': 'matroska', '.webm': 'webm'}


class Encoder(NamedTuple):
  """An encoder of FFmpeg and its options.

  Attributes:
    name: FFmpeg's.
    options: of the encoder.
    quality: name of its option for constant quality.
    max_crf: the largest value of that, which is the worst quality.
  """

  name: str
  options: dict[str, str]
  quality: str
  max_crf: int


# h264: measured on the first 60 frames of six clips of real faces against their decoded source, the worst frame keeps
# 40 dB in the noisiest of them and 43 dB to 47 dB in the others. The preset buys speed: at crf 16 the next slower one
# gave 0.6 dB to 1 dB more at much the same size (three clips), and was a fifth to a third slower. The others are a
# choice.
CODECS = {
  'h264': Encoder('libx264', {'crf': '14', 'preset': 'veryfast'}, 'crf', 51),
  'hevc': Encoder('libx265', {'crf': '17', 'preset': 'veryfast', 'x265-params': 'log-level=error'}, 'crf', 51),
  'vp9': Encoder(
    'libvpx-vp9', {'crf': '20', 'b': '0', 'deadline': 'realtime', 'cpu-used': '6', 'row-mt': '1'}, 'crf', 63
  ),
  'av1': Encoder('libsvtav1', {'crf': '22', 'preset': '10', 'svtav1-params': 'enable-overlays=0'}, 'crf', 63),
  'h264_nvenc': Encoder('h264_nvenc', {'cq': '16', 'rc': 'vbr', 'preset': 'p4', 'b': '0'}, 'cq', 51),
  'hevc_nvenc': Encoder('hevc_nvenc', {'cq': '18', 'rc': 'vbr', 'preset': 'p4', 'b': '0'}, 'cq', 51),
  'av1_nvenc': Encoder('av1_nvenc', {'cq': '24', 'rc': 'vbr', 'preset': 'p4', 'b': '0'}, 'cq', 51),
}
# Matroska holds negative times, of the sound that a decoder needs before the first frame; else all would be moved.
_AT_ANY_TIME = {'avoid_negative_ts': 'disabled'}
_INDEX_FIRST = {'movflags': '+faststart'}
MUXING = {'mp4': _INDEX_FIRST, 'mov': _INDEX_FIRST, 'matroska': _AT_ANY_TIME, 'webm': _AT_ANY_TIME}
WEBM_CODEC = 'vp9'
TEN_BIT_CODEC = 'hevc'  # players can show it; hardly any can show h264 of 10 bits
WEBM_CODECS = 'vp9', 'av1', 'av1_nvenc'


class FileMarks(NamedTuple):
  """Marks of a file that is written, such as of its provenance.

  Attributes:
    tags: by name, for the container; MP4 and QuickTime keep the usual ones alone, such as `comment`.
    seal: called once with the finished file, before it gets its name, and FFmpeg's name of its container.
  """

  tags: Mapping[str, str]
  seal: Callable[[Path, str], None]


class Write(Protocol):
  """Writes a frame, `Planes` or (h, w, 3) uint8 RGB, at a time in seconds; by default a frame after the last."""

  def __call__(self, picture: Planes | np.ndarray, time: Fraction | None = None) -> None: ...


@contextlib.contextmanager
def write_video(
  path: PathLike,
  info: VideoInfo,
  sound: PathLike | None = None,
  whole_sound: bool = True,
  delay: Fraction = Fraction(0),
  codec: str | None = None,
  crf: int | None = None,
  marks: FileMarks | None = None,
) -> Iterator[Write]:
  """Opens a video for writing; it appears under its name once it is complete.

  Colours are stored as `info` names them, so that pixels which come from that video come back unchanged. Pictures of
  odd width or height get one repeated column or row: 4:2:0 has even sides.

  Args:
    path: where to write, ending in one of `CONTAINERS`.
    info: size, frame rate or tick, and colours, as `probe` gives them.
    sound: a file whose first sound track goes into the video: copied where the container can hold it, else encoded
      again at its own sample rate. If it is shorter than the video, it ends before the last frame.
    whole_sound: whether it may go on after the last frame.
    delay: seconds from the first frame to the start of the sound; sound before the first frame is cut.
    codec: one of `CODECS`; by default h264, hevc for samples of 10 bits, and vp9 in a .webm. Where a codec has no more
      than 8 bits here, samples of 10 bits are reduced with a warning.
    crf: constant quality: less is better and larger. Each codec has its own scale and default.
    marks: what the file says about itself, which changes no packet of picture or sound.

  Yields:
    A function that writes one frame; see `Write`.

  Raises:
    UserError: the file cannot be written, or the sound cannot be read.
  """
  path = Path(path)
  check_output(path, codec, crf)
  container = CONTAINERS[path.suffix.lower()]
  # Errors of the caller meanwhile, such as in reading the frames that it writes, are its own to report.
  with whole_file(path) as part, contextlib.ExitStack() as stack:
    with _errors_named(path):
      output = av.open(f'file:{part}', 'w', format=container, options=MUXING[container])
      stack.callback(_close, output)
      output.metadata.update(marks.tags if marks else {})
      picture = _add_picture(output, info, codec or default_codec(path, info.colours.depth), crf)
      track = None
      if sound is not None:
        track = SoundTrack(output, stack.enter_context(open_media(sound)), sound, delay)
      frames = _FrameWriter(output, picture, info, track)

    def write(picture: Planes | np.ndarray, time: Fraction | None = None) -> None:
      with _errors_named(path):
        frames.write(picture, time)

    yield write
    with _errors_named(path):
      output.mux(picture.encode(None))
      if track is not None:
        track.finish(None if whole_sound else frames.end)
      output.close()
      if marks is not None:
        marks.seal(part, container)


def write_clip(
  path: Path,
  frames: Iterable[np.ndarray],
  size: tuple[int, int],
  speech: np.ndarray | None,
  marks: FileMarks | None = None,
) -> None:
  """Writes an mp4 of frames (h, w, 3) uint8, of size (h, w), at 25 a second, with speech (s,) int16 at 16 kHz."""
  height, width = size
  with tempfile.TemporaryDirectory() as directory:
    sound = None
    if speech is not None:
      sound = Path(directory) / 'speech.wav'
      write_speech(sound, speech)
    with write_video(path, VideoInfo(width, height, Fraction(FRAME_RATE)), sound, marks=marks) as write:
      for frame in frames:
        write(frame)


def default_codec(path: PathLike, depth: int = 8) -> str:
  """Returns the codec for an output of this name whose samples have `depth` bits."""
  if Path(path).suffix.lower() == '.webm':
    return WEBM_CODEC
  return 'h264' if depth == 8 else TEN_BIT_CODEC


def check_output(path: PathLike, codec: str | None = None, crf: int | None = None) -> None:
  """Raises UserError unless such a video can be written at this path; to be called before any work is done for it."""
  path = Path(path)
  if path.suffix.lower() not in CONTAINERS:
    *others, last = CONTAINERS
    raise UserError(f'the output {path} must end in {", ".join(others)} or {last}')
  if codec is not None:
    check_choice('codec', codec, CODECS)
  if path.suffix.lower() == '.webm' and codec not in (None, *WEBM_CODECS):
    raise UserError(f'{codec} cannot be in a .webm: choose another suffix, or codec={WEBM_CODEC}', 'codec')
  codec = codec or default_codec(path)
  if crf is not None and not 0 <= crf <= CODECS[codec].max_crf:
    raise UserError(f'crf must be from 0 to {CODECS[codec].max_crf} for {codec}, not {crf}', 'crf')
  check_place(path)
  _check_encoder(codec)


def check_place(path: PathLike) -> None:
  """Raises UserError unless a file can be written at this path, or where it points to if it is a link."""
  path = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
  check_replaceable(path)
  if not path.parent.is_dir():
    raise UserError(f'the output directory {path.parent} does not exist: create it first')
  try:
    with tempfile.TemporaryFile(dir=path.parent):
      pass
  except OSError as error:
    raise UserError(f'the output directory {path.parent} cannot be written: {reason(error)}') from error


@contextlib.contextmanager
def _errors_named(path: Path) -> Iterator[None]:
  """Turns errors in writing a file into a UserError with its name."""
  try:
    yield
  except (av.FFmpegError, OSError) as error:
    raise UserError(f'{path} cannot be written: {reason(error)}') from error


def _close(output: av.container.OutputContainer) -> None:
  """Closes a container, and ignores errors: after a failure they add nothing."""
  with contextlib.suppress(av.FFmpegError, OSError, ValueError):
    output.close()


def _check_encoder(codec: str) -> None:
  """Raises UserError if an encoder is missing; missing hardware only shows when its encoder is opened."""
  encoder = CODECS[codec]
  try:
    context = av.Codec(encoder.name, 'w').create('video')
    if codec.endswith('nvenc'):
      context.width, context.height, context.pix_fmt = 256, 256, 'yuv420p'
      context.time_base, context.options = Fraction(1, FRAME_RATE), encoder.options
      context.open()
  except (av.FFmpegError, ValueError) as error:
    message = f'codec={codec} does not work on this machine ({reason(error)}): choose another'
    raise UserError(message, 'codec') from error


def _add_picture(
  output: av.container.OutputContainer, info: VideoInfo, codec: str, crf: int | None
) -> av.video.stream.VideoStream:
  encoder = CODECS[codec]
  options = encoder.options if crf is None else encoder.options | {encoder.quality: str(crf)}
  # PyAV's stubs know only by some encoders' names that they make a stream of pictures.
  stream = cast(av.video.stream.VideoStream, output.add_stream(encoder.name, rate=info.rate, options=options))
  stream.width, stream.height = info.width + info.width % 2, info.height + info.height % 2
  stream.pix_fmt = _pixel_format(codec, info.colours.depth)
  if info.colours.depth > 8 and stream.pix_fmt == 'yuv420p':
    logging.warning('%s is written with 8 bits a sample here: of the 10 that the film has, the last 2 are lost', codec)
  context = stream.codec_context
  if info.tick is not None:
    context.time_base = info.tick
  if info.aspect != 1:
    context.sample_aspect_ratio = info.aspect
  if codec.startswith('hevc') and output.format.name != 'matroska':
    context.codec_tag = 'hvc1'  # Apple's players look for this one
  context.colorspace = info.colours.matrix
  context.color_primaries, context.color_trc = info.colours.primaries, info.colours.transfer
  context.color_range = ColorRange.JPEG if info.colours.full_range else ColorRange.MPEG
  try:
    _open_politely(context)
  except av.FFmpegError as error:
    size = f'{info.width} x {info.height}'
    raise UserError(f'{codec} takes no pictures of {size} ({reason(error)}): give another codec or size') from error
  return stream


def _pixel_format(codec: str, depth: int) -> str:
  """Returns FFmpeg's name of the pixel format for samples of `depth` bits, or of 8 if the encoder has no more."""
  accepted = [form.name for form in av.Codec(CODECS[codec].name, 'w').video_formats or ()]
  deep = [form for form in (FORMATS[10], 'p010le') if form in accepted and codec != 'h264_nvenc']  # few cards can
  return deep[0] if depth > 8 and deep else FORMATS[8]


def _open_politely(context: av.VideoCodecContext) -> None:
  """Opens an encoder at the process's own priority: as root, SVT-AV1 would schedule the whole process in real time."""
  os.environ.setdefault('SVT_LOG', '1')  # errors only; else it writes much to stderr
  before = os.sched_getscheduler(0) if hasattr(os, 'sched_getscheduler') else None
  context.open()
  if before is not None and os.sched_getscheduler(0) != before:
    for thread in os.listdir('/proc/self/task'):
      with contextlib.suppress(ProcessLookupError):
        os.sched_setscheduler(int(thread), before, os.sched_param(0))


class _FrameWriter:
  """Encodes frames, and writes the sound that belongs to them."""

  def __init__(
    self,
    output: av.container.OutputContainer,
    stream: av.video.stream.VideoStream,
    info: VideoInfo,
    sound: SoundTrack | None,
  ) -> None:
    self.end = Fraction(0)  # seconds: where the last frame ends
    self._output, self._stream, self._info, self._sound = output, stream, info, sound
    self._tick = info.tick or 1 / info.rate

  def write(self, picture: Planes | np.ndarray, time: Fraction | None = None) -> None:
    info, range_ = self._info, self._stream.codec_context.color_range
    if isinstance(picture, np.ndarray):
      if picture.shape != (info.height, info.width, 3):
        raise ValueError(f'a frame of this video has shape {(info.height, info.width, 3)}, not {picture.shape}')
      picture = from_rgb(picture, info.colours)
    frame = av.VideoFrame.from_ndarray(picture.samples, format=FORMATS[info.colours.depth])
    if frame.format.name != self._stream.pix_fmt:
      frame = frame.reformat(format=self._stream.pix_fmt)
    frame.colorspace, frame.color_range = info.colours.matrix, range_
    frame.color_primaries, frame.color_trc = info.colours.primaries, info.colours.transfer
    time = self.end if time is None else time
    frame.pts, frame.time_base = round(time / self._tick), self._tick
    self._output.mux(self._stream.encode(frame))
    self.end = time + 1 / info.rate
    if self._sound is not None:
      self._sound.write_until(self.end)
