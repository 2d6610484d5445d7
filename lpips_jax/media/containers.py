"""Opening media files and reading their packets; a path that cannot be read is reported in one line."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, overload

import av
from absl import logging

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike

# FFmpeg's formats of files that name others. Those would be read, or run, in their place, so that a file handed in by a
# stranger could show another one. FFmpeg recognises them by their content: a playlist may be called face.mp4.
REFERRING_FORMATS = (
  'avisynth',
  'concat',
  'dash',
  'hls',
  'imf',
  'mlv',
  'rtp',
  'rtsp',
  'sap',
  'sdp',
  'vapoursynth',
  'vobsub',
)
# Formats of pictures drawn with letters, which FFmpeg takes any text file for, by its name.
TEXT_FORMATS = 'adf', 'bin', 'idf', 'tty', 'xbin'


def open_media(path: PathLike) -> av.container.InputContainer:
  """Opens any file that FFmpeg can read.

  Args:
    path: a file on disk, of any name.

  Returns:
    The open container; close it, or use it as a context manager.

  Raises:
    UserError: the file is missing, empty, a directory, not readable, no media file, or one that names others.
  """
  path = Path(path)
  if not path.exists():
    raise UserError(f'{path} does not exist')
  if not path.is_file():
    raise UserError(f'{path} is not a file')
  if not os.access(path, os.R_OK):
    raise UserError(f'{path} cannot be read: permission denied')
  if path.stat().st_size == 0:
    raise UserError(f'{path} is empty')
  try:
    # `file:` keeps names such as `a:b.mp4` from being read as a protocol.
    return av.open(f'file:{path}', options=_options())
  except av.ArgumentError as error:  # raised for formats that are not on the whitelist
    raise UserError(
      f'{path} is a text or a playlist, or of another kind that names other files, or damaged: give the film, picture '
      'or sound'
    ) from error
  except (av.FFmpegError, OSError, ValueError) as error:
    raise UserError(f'{path} is not a media file that can be read, or is cut short: {reason(error)}') from error


@overload
def decode(
  container: av.container.InputContainer,
  stream: av.video.stream.VideoStream,
  decoder: av.VideoCodecContext | None = None,
) -> Iterator[av.VideoFrame]: ...


@overload
def decode(container: av.container.InputContainer, stream: av.audio.stream.AudioStream) -> Iterator[av.AudioFrame]: ...


def decode(
  container: av.container.InputContainer, stream: Any, decoder: av.VideoCodecContext | None = None
) -> Iterator[Any]:
  """Yields the frames of one stream in the order in which they are shown.

  Damaged packets are left out, and a file that is cut short ends where it is cut: all that can be decoded is.

  Args:
    container: an open container, which may have been sought in.
    stream: one of its streams.
    decoder: decodes the stream in place of the decoder that FFmpeg chooses.
  """
  for packet in packets(container, stream):
    try:
      frames = packet.decode() if decoder is None else decoder.decode(packet)
    except av.InvalidDataError:
      continue
    except (av.FFmpegError, OSError):
      return
    yield from frames


def packets(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.Packet]:
  """Yields the readable packets of one stream, and an empty one at the end."""
  coming = container.demux(stream)
  while True:
    try:
      packet = next(coming, None)
    except av.InvalidDataError:
      continue
    except (av.FFmpegError, OSError):
      return
    if packet is None:
      return
    yield packet


@functools.cache
def warn_once(text: str) -> None:
  """Logs a warning about a file, once however often the file is read."""
  logging.warning('%s', text)


@functools.cache
def _options() -> dict[str, str]:
  """Options under which only files are read, of formats that name no others, and `%d` in a name is no pattern."""
  formats = sorted(av.formats_available.difference(REFERRING_FORMATS, TEXT_FORMATS))
  return {'pattern_type': 'none', 'protocol_whitelist': 'file', 'format_whitelist': ','.join(formats)}


def reason(error: BaseException) -> str:
  """Returns FFmpeg's text for an error, without numbers and file names."""
  return (getattr(error, 'strerror', None) or str(error)).rstrip('. ')
