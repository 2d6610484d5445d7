"""Files that appear whole or not at all, and directories in which one command works at a time."""

import contextlib
import fcntl
import os
import secrets
import stat
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from lpips_jax.core.errors import UserError

PathLike = str | os.PathLike[str]

LOCK = '.lock'
PART_NAME = 32  # characters of a file's name that its unfinished part has, too: names cannot be of any length
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # glibc's numbers, malloc.h


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
  """Yields the name of a file to write, which becomes `path` once all went well, and is gone otherwise.

  Nobody ever sees half of it, not even after a power failure. Where `path` is a link, what it points to is replaced.

  Raises:
    OSError: it cannot be put in place.
  """
  target = Path(os.path.realpath(path))
  with _written_as(_part(target, secrets.token_hex(8)), target) as part:  # a name that nobody else has
    yield part


def write_whole(path: Path, content: bytes | str) -> None:
  """Writes a file like `written_whole`; text as UTF-8. What a kill leaves half written, the next attempt takes away.

  Raises:
    UserError: there is something that is no file, such as a directory or a device.
    OSError: it cannot be written, such as to a full disk; then nothing is left behind, and the error names the file.
  """
  check_replaceable(path)
  target = Path(os.path.realpath(path))
  part = _part(target, f'{zlib.crc32(os.fsencode(target.name)):08x}')
  try:
    part.unlink(missing_ok=True)
    with _written_as(part, target), part.open('xb') as file:
      file.write(content.encode() if isinstance(content, str) else content)
  except OSError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error


def check_replaceable(path: Path) -> None:
  """Raises UserError where a new file would take the place of what is no file."""
  if path.exists() and not path.is_file():
    raise UserError(f'{path} is {"a directory" if path.is_dir() else "no regular file"}: give another name')


@contextlib.contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
  """Yields a directory to fill, which becomes `path` once all went well, and is gone otherwise.

  Raises:
    UserError: there is something already.
    OSError: it cannot be made.
  """
  if path.exists():
    raise UserError(f'{path} is there already: give another destination')
  path.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=path.parent, prefix=f'.{path.name}.') as around:
    filled = Path(around) / path.name
    filled.mkdir()
    yield filled
    os.replace(filled, path)


@contextlib.contextmanager
def alone_in(directory: Path) -> Iterator[None]:
  """Keeps other commands out of a directory until this process leaves it or ends, whatever ends it.

  Raises:
    UserError: another one is at work there.
  """
  with open(directory / LOCK, 'w', opener=_opened_unless_link) as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise UserError(f'another run is at work in {directory}: wait for it, or end it') from error
    except OSError:  # a file system without locks
      pass
    yield


def _part(target: Path, mark: str) -> Path:
  return target.with_name(f'{target.name[:PART_NAME]}.{mark}.part')


@contextlib.contextmanager
def _written_as(part: Path, target: Path) -> Iterator[Path]:
  try:
    yield part
    with part.open('rb') as file:
      os.fsync(file.fileno())
    os.replace(part, target)
  finally:
    part.unlink(missing_ok=True)


def _opened_unless_link(path: str, flags: int) -> int:
  """Opens what will not be written to as it is: a link, which anybody may have put there, would name another file."""
  return os.open(path, (flags | os.O_NOFOLLOW) & ~os.O_TRUNC, 0o666)


def user_cache() -> Path:
  """Returns the directory, perhaps not there yet, for what can be made or fetched again.

  It is in the user's home; where there is none to write to, as in containers, in the directory for temporary files.
  """
  given = os.environ.get('XDG_CACHE_HOME')
  with contextlib.suppress(RuntimeError):  # an unknown user's home
    cache = (Path(given) if given else Path.home() / '.cache') / 'lpips_jax'
    there = next(path for path in (cache, *cache.parents) if path.exists())
    if there == cache or os.access(there, os.W_OK):
      return cache
  return _temporary_cache()


def _temporary_cache() -> Path:
  """A directory of this user alone: what is in it is executed."""
  own = Path(tempfile.gettempdir()) / f'lpips_jax-{os.getuid()}'
  with contextlib.suppress(FileExistsError):
    own.mkdir(mode=0o700)
  found = own.lstat()
  if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
    return Path(tempfile.mkdtemp(prefix='lpips_jax-'))  # somebody else's
  return own


def expanded(path: str | Path) -> Path:
  """Returns a path with the home directory in place of ~; raises UserError where there is none."""
  try:
    return Path(path).expanduser()
  except RuntimeError as error:
    raise UserError(f'{path}: this user has no home directory: give the whole path') from error
