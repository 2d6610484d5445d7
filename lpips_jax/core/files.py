"""Files that appear whole or not at all, directories with one writer at a time, and the user's cache."""

import contextlib
import fcntl
import os
import re
import secrets
import stat
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from lpips_jax.core.errors import TryAgain, UserError

PathLike = str | os.PathLike[str]
_shown_names: dict[str, str] = {}  # by the directories of `show_as`

LOCK = '.lock'
URL = re.compile(  # also gs:/… and gs:…; a drive, as in C:/, has one letter
  r'([A-Za-z][A-Za-z0-9+.-]+):(/+|(?<=^gs:)|(?<=^s3:))(.*)', re.DOTALL
)
HOME_PATH = re.compile(r'(?:^|(?<=[=,]))~[^/,=]*(?=/|,|$)')  # `~` or `~name` at the beginning of a path
MAX_NAME_PREFIX = 32  # characters of a file's name that begin the name of its unfinished part: names have a limit


@contextlib.contextmanager
def whole_file(path: PathLike) -> Iterator[Path]:
  """Yields the name of a file to write; it becomes `path` if the body succeeds, and is deleted otherwise.

  Nobody ever sees half of it, not even after a power failure. If `path` is a link, the file that it points to is
  replaced.

  Raises:
    OSError: it cannot be put in place.
  """
  target = Path(os.path.realpath(path))
  with _written_as(_part(target, secrets.token_hex(8)), target) as part:  # a name that nobody else has
    yield part


def write_whole(path: Path, content: bytes | str) -> None:
  """Writes a file as `whole_file` does; text as UTF-8. If the process is killed, the next attempt removes the remains.

  Raises:
    UserError: there is something else than a file, such as a directory or a device.
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


def read_regular(path: PathLike) -> bytes:
  """Reads a file; not a device or a pipe, which might never end.

  Raises:
    UserError: it is no regular file.
    OSError: it cannot be read.
  """
  if os.path.exists(path) and not os.path.isfile(path):
    raise UserError(f'{os.fspath(path)} is {"a directory" if os.path.isdir(path) else "no regular file"}: give a file')
  return Path(path).read_bytes()


def check_replaceable(path: Path) -> None:
  """Raises UserError if a new file would replace something else than a file."""
  if path.exists() and not path.is_file():
    raise UserError(f'{path} is {"a directory" if path.is_dir() else "no regular file"}: give another name')


@contextlib.contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
  """Yields a directory to fill; it becomes `path` if the body succeeds, and is deleted otherwise.

  Raises:
    UserError: `path` exists already.
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
def directory_lock(directory: Path) -> Iterator[None]:
  """Keeps other commands out of a directory during the body; the lock ends with the process, whatever ends it.

  Raises:
    TryAgain: another command is at work there.
  """
  with open(directory / LOCK, 'w', opener=_opened_unless_link) as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise TryAgain(f'another run is at work in {directory}: wait for it, or end it') from error
    except OSError:  # a file system without locks
      pass
    yield


def _part(target: Path, mark: str) -> Path:
  return target.with_name(f'{target.name[:MAX_NAME_PREFIX]}.{mark}.part')


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
  """Opens a file without truncating it or following a link, which anybody may have put there to name another file."""
  return os.open(path, (flags | os.O_NOFOLLOW) & ~os.O_TRUNC, 0o666)


def show_as(directory: Path, name: str) -> None:
  """Lets messages name a directory, and what is in it, by another name: it is a local copy of something remote."""
  _shown_names[str(directory)] = name


def is_copy(path: Path) -> bool:
  """Returns whether a path is in one of the directories of `show_as`: this process alone sees what is written there."""
  return any(path.is_relative_to(copy) for copy in _shown_names)


def shown(text: str) -> str:
  """Returns a message with the names of `show_as`."""
  for path, name in _shown_names.items():
    text = text.replace(path, name)
  return text


def user_cache() -> Path:
  """Returns the directory, which may not exist yet, for files that can be made or fetched again.

  It is in the user's home or, if that cannot be written to, as in containers, in the directory for temporary files.
  """
  given = os.environ.get('XDG_CACHE_HOME')
  with contextlib.suppress(RuntimeError):  # an unknown user's home
    cache = (Path(given) if given else Path.home() / '.cache') / 'lpips_jax'
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    if existing == cache or os.access(existing, os.W_OK):
      return cache
  return _temporary_cache()


def _temporary_cache() -> Path:
  """Returns a directory that only this user can write to: programs in it are executed."""
  own = Path(tempfile.gettempdir()) / f'lpips_jax-{os.getuid()}'
  with contextlib.suppress(FileExistsError):
    own.mkdir(mode=0o700)
  found = own.lstat()
  if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
    return Path(tempfile.mkdtemp(prefix='lpips_jax-'))  # somebody else's
  return own


def expand_user(path: PathLike) -> Path:
  """Returns a path with the home directory in place of ~; raises UserError if the user has none."""
  try:
    return Path(path).expanduser()
  except RuntimeError as error:
    raise UserError(f'{path}: this user has no home directory: give the whole path') from error


def expand_home(text: str) -> str:
  """Replaces `~` at the beginning of a path by the home directory, which shells do not do in NAME=~/me.mp4.

  Args:
    text: a path, paths between commas, or either of them after NAME=.
  """
  return HOME_PATH.sub(lambda found: os.path.expanduser(found[0]), text)
