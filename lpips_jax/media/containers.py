"""Opening media files: one place that says, in one line, what is wrong with a path."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import av
from absl import logging

from lpips_jax.core.errors import UserError

# Kinds of files that name others, which would be read, or run, in their place, so that whoever hands in a file would be
# shown another one. FFmpeg knows them by what is in them: a playlist may be called face.mp4.
NAMING_OTHERS = 'avisynth', 'concat', 'dash', 'hls', 'imf', 'mlv', 'rtp', 'rtsp', 'sap', 'sdp', 'vapoursynth', 'vobsub'


def open_media(path: str | os.PathLike[str]) -> av.container.InputContainer:
  """Opens any file that FFmpeg can read.

  Args:
    path: a file on disk, of whatever name.

  Returns:
    The open container; close it, or use it as a context manager.

  Raises:
    UserError: the file is missing, empty, a directory, not permitted, no media file, or one that names others.
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
  except av.ArgumentError as error:  # what FFmpeg says of a kind that may not be read
    raise UserError(
      f'{path} is a playlist, or of another kind that names other files, or damaged: give the film, picture or sound'
    ) from error
  except (av.FFmpegError, OSError, ValueError) as error:
    raise UserError(f'{path} is not a media file that can be read, or is cut short: {reason(error)}') from error


def decode(
  container: av.container.InputContainer, stream: av.stream.Stream, decoder: av.CodecContext | None = None
) -> Iterator[av.frame.Frame]:
  """Yields the frames of one stream in the order of their showing.

  Damaged packets are left out and a file that is cut short ends where it is cut: what can be shown is shown.

  Args:
    container: an open container, wherever it was last sought to.
    stream: one of its streams.
    decoder: what decodes it, if not what FFmpeg chooses.
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
  """Yields the packets of one stream, those that can be read, and an empty one at the end."""
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
def say_once(text: str) -> None:
  """Warns, in a line, of what is done to a file, however often it is read."""
  logging.warning('%s', text)


@functools.cache
def _options() -> dict[str, str]:
  """Files alone are read, and those of a kind that names no others; `%d` in a name is no pattern."""
  kinds = sorted(av.formats_available.difference(NAMING_OTHERS))
  return {'pattern_type': 'none', 'protocol_whitelist': 'file', 'format_whitelist': ','.join(kinds)}


def reason(error: BaseException) -> str:
  """Returns what FFmpeg says of an error, without numbers and file names."""
  return (getattr(error, 'strerror', None) or str(error)).rstrip('. ')
