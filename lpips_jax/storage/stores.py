"""Object stores through fsspec: Google Cloud Storage by gcsfs, S3 and what speaks its protocol by s3fs."""

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from absl import logging

from lpips_jax.core.errors import TryAgain, UserError, first_line
from lpips_jax.core.files import PathLike

Result = TypeVar('Result')

CONNECT_SECONDS, SILENT_SECONDS = 10, 30  # for which a store may take to answer, and fall silent amid an answer
PATIENCE_SECONDS = 240.0  # for which a store that fails is asked again
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # seconds between two attempts
PARTS_AT_ONCE = 2  # of an object of S3: s3fs keeps this many times 50 MB in memory for each file that it copies
EXTRAS = {'gs': ('gcsfs', 'gcs'), 's3': ('s3fs', 's3')}  # of a scheme: the package, and our extra that brings it
CREDENTIALS = {
  'gs': 'gcloud auth application-default login',
  's3': 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
}
FINAL_ERRORS = (
  *(FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError),
  *(UserError, ImportError, AttributeError, TypeError),
)
REFUSED_BY_BOTOCORE = 'NoCredentialsError', 'ParamValidationError'  # the latter, names that no bucket can have
FULL_DISK = errno.ENOSPC, errno.EDQUOT  # of this machine
REFUSALS = {400, 401, 403, 405, 411, 416}  # HTTP statuses that stay as they are, unlike those of timeouts and limits


@dataclass(frozen=True)
class RemoteFile:
  """An object.

  Attributes:
    name: relative to the directory that was listed.
    size: in bytes.
    tag: changes with the content: 'crc32c:…' or 'md5:…' where the store tells it, else its own tag.
  """

  name: str
  size: int
  tag: str


def file_system(url: str) -> Any:
  """Returns the fsspec file system of a URL; raises UserError if the package that it needs is missing."""
  return _file_system(url.partition('://')[0])


@cache
def _file_system(scheme: str) -> Any:
  package, extra = EXTRAS[scheme]
  try:
    import fsspec

    if scheme == 's3':
      options = {'connect_timeout': CONNECT_SECONDS, 'read_timeout': SILENT_SECONDS}
      return fsspec.filesystem('s3', use_listings_cache=False, config_kwargs=options, max_concurrency=PARTS_AT_ONCE)
    import aiohttp
    from gcsfs.core import GCSFileSystem  # the one that fsspec names asks for the kind of each bucket, another service

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    return GCSFileSystem(use_listings_cache=False, requests_timeout=timeout)
  except ImportError as error:
    raise UserError(f"{scheme}:// needs the package {package}: pip install -e '.[{extra}]'") from error


@contextlib.contextmanager
def explained(url: PathLike, doing: str) -> Iterator[None]:
  """Turns a store's error into a UserError of one line, such as 'gs://bucket/run cannot be read (…)'."""
  try:
    yield
  except (UserError, FileExistsError):
    raise
  except Exception as error:  # of gcsfs, s3fs, aiohttp, botocore and google-auth, which have nothing in common
    if isinstance(error, FileNotFoundError):
      raise UserError(f'{url} does not exist, or its bucket does not') from error
    if isinstance(error, OSError) and error.errno in FULL_DISK:
      raise UserError(f'{url} cannot be {doing}: the disk of its copy on this machine is full: make room') from error
    scheme = str(url).partition('://')[0]
    kind = UserError if is_final(error) else TryAgain
    raise kind(
      f'{url} cannot be {doing} ({first_line(error)}): check its name and your rights ({CREDENTIALS.get(scheme, "")})'
    ) from error


def persistently(
  action: Callable[[], Result],
  what: str,
  patience: float = PATIENCE_SECONDS,
  given_up: threading.Event | None = None,
) -> Result:
  """Calls a function until it succeeds, as a store may not answer for a while; raises errors that stay at once.

  Args:
    action: reads or writes; may be called again after it has failed midway.
    what: named in a warning when it fails.
    patience: seconds after which the error is raised.
    given_up: once it is set, the next error is raised.
  """
  given_up = given_up or threading.Event()
  begun, pause = time.monotonic(), FIRST_PAUSE
  while True:
    try:
      return action()
    except Exception as error:
      if is_final(error) or time.monotonic() - begun > patience or given_up.is_set():
        raise
      logging.log_every_n_seconds(logging.WARNING, '%s: %s; trying again', 60, what, first_line(error))
    given_up.wait(pause)
    pause = min(2 * pause, LONGEST_PAUSE)


def is_final(error: Exception) -> bool:
  """Returns whether it is of no use to try again."""
  if isinstance(error, OSError) and (error.errno in FULL_DISK or str(error).startswith('Forbidden')):  # thus gcsfs
    return True
  if getattr(error, 'code', None) in REFUSALS:  # of gcsfs, too
    return True
  if type(error) is ValueError:  # thus botocore refuses an endpoint; not its heirs, such as that of damaged JSON
    return True
  return isinstance(error, FINAL_ERRORS) or type(error).__name__ in REFUSED_BY_BOTOCORE


def files_below(url: str) -> list[RemoteFile]:
  """Lists the objects beneath a URL, sorted by name; none if there is nothing.

  Names that no file there can have are left out: DIRECTORY//etc/x would be copied to /etc/x.
  """
  system, root = file_system(url), _key(url)
  try:
    found = system.find(root, detail=True)
  except FileNotFoundError:
    return []
  inside = {key.removeprefix(f'{root}/'): info for key, info in found.items() if key.startswith(f'{root}/')}
  return [RemoteFile(name, int(info['size']), _tag(info)) for name, info in sorted(inside.items()) if _names_file(name)]


def info(url: str) -> RemoteFile | None:
  """Returns the object of a URL; None if there is none."""
  try:
    found = file_system(url).info(_key(url))
  except FileNotFoundError:
    return None
  return None if found['type'] == 'directory' else RemoteFile('', int(found['size']), _tag(found))


def names_object(url: str) -> bool:
  """Returns whether a URL may be that of an object: not that of a bucket, nor one that ends in a slash."""
  return '/' in _key(url) and not url.endswith('/')


def read(url: str, first: int | None = None) -> bytes:
  """Returns the content of an object, or its first bytes; of an empty one there are none to ask for."""
  return file_system(url).cat_file(_key(url), start=None if first is None else 0, end=first)


def write(url: str, content: bytes) -> None:
  """Writes an object, which appears whole."""
  file_system(url).pipe_file(_key(url), content)


def create(url: str, content: bytes) -> None:
  """Writes an object unless there is one; raises FileExistsError if there is. Of two at once one succeeds."""
  file_system(url).pipe_file(_key(url), content, mode='create')


def get(url: str, path: Path) -> None:
  """Copies an object to a file, which may be left unfinished if that fails."""
  file_system(url).get_file(_key(url), str(path))


def put(path: Path, url: str) -> None:
  """Copies a file to an object, which appears whole."""
  file_system(url).put_file(str(path), _key(url))


def delete(url: str) -> None:
  """Deletes an object, if it is there."""
  with contextlib.suppress(FileNotFoundError):
    file_system(url).rm_file(_key(url))


def has_md5(url: str) -> bool:
  """Returns whether the ETag of an object of S3 that looks like an MD5 is one: KMS-encrypted objects have others."""
  system = file_system(url)
  bucket, key, _ = system.split_path(_key(url))
  return system.call_s3('head_object', Bucket=bucket, Key=key).get('ServerSideEncryption', 'AES256') == 'AES256'


def _names_file(name: str) -> bool:
  return not {'', '.', '..'} & set(name.split('/'))


def _key(url: str) -> str:
  return url.partition('://')[2].rstrip('/')


def _tag(info: dict[str, Any]) -> str:
  if 'crc32c' in info:
    return f'crc32c:{info["crc32c"]}'
  tag = str(info.get('ETag', info.get('etag', ''))).strip('"')
  return f'md5:{tag}' if len(tag) == 32 else f'tag:{tag}'  # of an object in parts it is no digest
