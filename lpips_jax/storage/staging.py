"""Inputs of many files, datasets and checkpoints: copied from a bucket to this machine's disk once, and kept there.

The copies are in `LIPSYNC_STAGING`, or else in the user's cache, by their URLs. The processes of a machine share them.
A list in each copy tells which objects it has, and which versions of them: a second call copies what is new, and one
that was cut short continues.
"""

import contextlib
import fcntl
import json
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, expand_user, show_as, user_cache
from lpips_jax.storage import stores
from lpips_jax.storage.places import is_remote
from lpips_jax.storage.stores import RemoteFile
from lpips_jax.storage.transfer import counting, download, remove

LIST = '.staged.jsonl'  # one line for each object that was copied: name, size, tag
LOCK = '.staged.lock'
ENVIRONMENT = 'LIPSYNC_STAGING'


def staged(path: PathLike, wanted: Callable[[set[str]], set[str]] = set, may_be_missing: bool = False) -> Path:
  """Returns a directory or file of this machine: the path itself, or the copy of what a URL names.

  Args:
    path: of this machine, or a URL.
    wanted: chooses among the names beneath the URL of all objects that count; what was copied before stays.
    may_be_missing: whether nothing under a URL is an empty directory, and no error.

  Raises:
    UserError: there is nothing under this URL, it cannot be read, or the disk is too small.
  """
  if not is_remote(path):
    return expand_user(path)
  url = str(path).rstrip('/')
  with stores.explained(url, 'read'):
    files = stores.persistently(lambda: stores.files_below(url), url)
    single = None if files else stores.persistently(lambda: stores.info(url), url)
  if single:
    parent, _, name = url.rpartition('/')
    return _brought(parent, [RemoteFile(name, single.size, single.tag)]) / name
  if not files and not may_be_missing:
    raise UserError(f'{url} does not exist: check its name')
  names = counting((file.name for file in files), url)
  chosen = wanted(names)
  return _brought(url, [file for file in files if file.name in chosen], names)


def place_of(url: str) -> Path:
  """Returns the directory of this machine that holds the copy of a URL, if it was copied."""
  scheme, _, rest = url.partition('://')
  return _root() / scheme / rest


def made_root() -> Path:
  """Returns the directory of all copies, whose disk has room for data, after making it."""
  _root().mkdir(parents=True, exist_ok=True)
  return _root()


def _root() -> Path:
  given = os.environ.get(ENVIRONMENT)
  return expand_user(given) if given else user_cache() / 'buckets'


def _brought(url: str, files: list[RemoteFile], there: set[str] | None = None) -> Path:
  """Copies those files that are not here yet; removes those that are no longer in the bucket, which has `there`."""
  directory = place_of(url)
  directory.mkdir(parents=True, exist_ok=True)
  show_as(directory, url)
  with _only_process(directory):
    have = _listed(directory)
    for name in set(have) - there if there is not None else ():
      remove(directory, name)
      del have[name]
    missing = [file for file in files if have.get(file.name) != file or not _is_whole(directory, file)]
    _check_space(directory, url, missing)
    with (directory / LIST).open('a') as listing:

      def note(file: RemoteFile) -> None:
        version = zlib.crc32(file.tag.encode()) * 10**9
        os.utime(directory / file.name, ns=(version, version))  # one version has one time on every machine
        listing.write(json.dumps(vars(file)) + '\n')
        listing.flush()

      download(url, missing, directory, note)
  return directory


@contextlib.contextmanager
def _only_process(directory: Path) -> Iterator[None]:
  """Waits until no other process of this machine copies into a directory."""
  with (directory / LOCK).open('w') as lock:
    with contextlib.suppress(OSError):  # a file system without locks
      fcntl.flock(lock, fcntl.LOCK_EX)
    yield


def _listed(directory: Path) -> dict[str, RemoteFile]:
  """Reads the list; the last line of an object holds, and a line that was cut short does not count."""
  have: dict[str, RemoteFile] = {}
  with contextlib.suppress(FileNotFoundError):
    for line in (directory / LIST).read_text().splitlines():
      with contextlib.suppress(ValueError, TypeError):
        file = RemoteFile(**json.loads(line))
        have[file.name] = file
  return have


def _is_whole(directory: Path, file: RemoteFile) -> bool:
  try:
    return (directory / file.name).stat().st_size == file.size
  except OSError:
    return False


def _check_space(directory: Path, url: str, files: list[RemoteFile]) -> None:
  needed, disk = sum(file.size for file in files), os.statvfs(directory)
  free = disk.f_bavail * disk.f_frsize
  if needed > free:
    raise UserError(
      f'{url}: {needed / 1e9:.1f} GB are to be copied and {_root()} has {free / 1e9:.1f} GB free: name a larger disk '
      f'in {ENVIRONMENT}'
    )
