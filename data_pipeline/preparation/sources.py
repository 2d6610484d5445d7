"""Sources: the raw files of a corpus in a directory of this machine, or beneath the URL of a bucket.

A bucket is listed once, whatever the layout. A clip is copied to a temporary file by the process that cuts it.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.storage import files, stores
from lpips_jax.storage.places import is_remote, join
from lpips_jax.storage.stores import RemoteFile
from lpips_jax.storage.transfer import download


class Source:
  """The files of a corpus; names are relative to its directory, with '/' between their parts."""

  def __init__(self, directory: Path):
    self.directory: PathLike = directory
    if not directory.is_dir():
      raise UserError(f'{directory} is not a directory')

  def path(self, name: str) -> Path | str:
    return join(self.directory, name)

  def has_directory(self, name: str) -> bool:
    return Path(self.directory, name).is_dir()

  def matching(self, pattern: str) -> Iterable[str]:
    """Yields the names of files that match a pattern; its `*` stand for parts of one directory or file name."""
    return (path.relative_to(self.directory).as_posix() for path in Path(self.directory).glob(pattern))

  def everything(self) -> Iterable[str]:
    """Yields the names of all files but hidden ones; links to directories are followed, each directory once."""
    seen = set()
    for folder, folders, names in os.walk(self.directory, onerror=_refuse, followlinks=True):
      real = os.path.realpath(folder)
      if real in seen:
        folders.clear()
        continue
      seen.add(real)
      inside = Path(folder).relative_to(self.directory)
      yield from ((inside / name).as_posix() for name in names if not name.startswith('.'))


class BucketSource(Source):
  """A corpus beneath a URL."""

  def __init__(self, url: str):
    self.directory = url
    if not self._names:
      raise UserError(f'{url} is not a directory, or it is empty')

  def has_directory(self, name: str) -> bool:
    return any(each.startswith(f'{name}/') for each in self._names)

  def matching(self, pattern: str) -> Iterable[str]:
    parts = pattern.split('/')
    return (name for name in self._names if _matches(name.split('/'), parts))

  def everything(self) -> Iterable[str]:
    return (name for name in self._names if not name.rpartition('/')[2].startswith('.'))

  @cached_property
  def _names(self) -> list[str]:
    return list(files.sizes_below(str(self.directory)))


def open_source(source: PathLike) -> Source:
  """Returns the files of a corpus; raises UserError if there is no such directory, or a bucket cannot be read."""
  return BucketSource(str(source).rstrip('/')) if is_remote(source) else Source(Path(source))


@contextlib.contextmanager
def local_copy(path: PathLike) -> Iterator[Path]:
  """Yields a file or directory of this machine: the path itself, or a copy of what a URL names, deleted afterwards.

  If there is nothing under a URL, the copy does not exist either, so that it is missed as a file would be.

  Raises:
    UserError: the URL cannot be read.
  """
  if not is_remote(path):
    yield Path(path)
    return
  parent, _, name = str(path).rpartition('/')
  with tempfile.TemporaryDirectory(prefix='lpips_jax-') as around:
    download(parent, _objects(str(path), name), Path(around), shown=False)
    yield Path(around, name)


def _objects(url: str, name: str) -> list[RemoteFile]:
  """Returns the object of a URL, or those beneath it; their names begin with its last part, `name`."""
  with stores.explained(url, 'read'):
    file = stores.persistently(lambda: stores.info(url), url)
    if file:
      return [RemoteFile(name, file.size, file.tag)]
    inside = stores.persistently(lambda: stores.files_below(url), url)
  return [RemoteFile(f'{name}/{each.name}', each.size, each.tag) for each in inside]


def _matches(parts: list[str], patterns: list[str]) -> bool:
  return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _refuse(error: OSError) -> NoReturn:
  raise UserError(f'{error.filename} cannot be read: {error.strerror}')
