"""Opening media files: one place that says, in one line, what is wrong with a path."""

import os
from collections.abc import Iterator
from pathlib import Path

import av

from lpips_jax.cli import UserError

# `file:` keeps names such as `a:b.mp4` from being read as a protocol, `none` keeps `%d` in a name from being a pattern.
_OPTIONS = {'pattern_type': 'none'}


def open_media(path: str | os.PathLike[str]) -> av.container.InputContainer:
  """Opens any file that FFmpeg can read.

  Args:
    path: a file on disk, of whatever name.

  Returns:
    The open container; close it, or use it as a context manager.

  Raises:
    UserError: the file is missing, empty, a directory, not permitted, or no media file.
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
    return av.open(f'file:{path}', options=_OPTIONS)
  except (av.FFmpegError, OSError, ValueError) as error:
    raise UserError(f'{path} is not a media file that can be read, or is cut short: {reason(error)}') from error


def decode(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[av.frame.Frame]:
  """Yields the frames of one stream in the order of their showing.

  Damaged packets are left out and a file that is cut short ends where it is cut: what can be shown is shown.

  Args:
    container: an open container, wherever it was last sought to.
    stream: one of its streams.
  """
  for packet in packets(container, stream):
    try:
      frames = packet.decode()
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


def reason(error: BaseException) -> str:
  """Returns what FFmpeg says of an error, without numbers and file names."""
  return (getattr(error, 'strerror', None) or str(error)).rstrip('. ')
