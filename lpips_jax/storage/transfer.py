"""Copies between buckets and this machine: many files at once, checked; and single inputs and outputs of commands."""

import contextlib
import dataclasses
import hashlib
import os
import re
import tempfile
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from lpips_jax.core.constants import FROZEN
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, expand_user, show_as
from lpips_jax.core.progress import progress_bar
from lpips_jax.storage import stores
from lpips_jax.storage.places import is_remote
from lpips_jax.storage.stores import RemoteFile

THREADS = 16  # that copy at once
CHUNK = 1 << 20  # bytes that are hashed at once
SMALL = 1 << 23  # bytes that an object may have to be read in one request, where gcsfs would make three
LAST_OBJECT = 'commit_success.txt'  # makes a step of a checkpoint count, as Orbax marks steps in buckets
LAST_FILES = 'config.json', 'model.json', 'dataset_info.json'  # without which nobody takes a directory for what it is
STEP = re.compile(rf'(?:.*/)?(?:checkpoint|{"|".join(FROZEN)})/\d+/')  # begins the names of a step's files
UNFINISHED = re.compile(r'\.part$|\.deleted$|\.orbax-checkpoint-tmp|^\.(lease|lock|staged)')  # in parts of names


def download(
  url: str,
  files: Sequence[RemoteFile],
  directory: Path,
  done: Callable[[RemoteFile], None] = lambda _: None,
  shown: bool = True,
) -> None:
  """Copies objects beneath a URL into a directory, many at once, with a progress bar; each appears whole and checked.

  Args:
    url: of the directory in the bucket.
    files: from `stores.files_below(url)`.
    directory: gets them by their names.
    done: called with each, in this thread; with the new version of one that was replaced after it had been listed.
    shown: whether there is a progress bar.

  Raises:
    UserError: an object cannot be read, or came damaged more than once.
  """
  total = sum(file.size for file in files)
  bar = progress_bar(f'copying {url}', total, 'B', shown)
  bar.unit_scale = True
  with bar, _threads() as (threads, given_up):
    copying = {
      threads.submit(_download_one, f'{url}/{file.name}', file, directory / file.name, given_up): file for file in files
    }
    for one in as_completed(copying):
      with stores.explained(url, 'read'):
        copied = one.result()
      done(copied)
      bar.update(copying[one].size)


def upload(directory: Path, url: str, replace: bool = True) -> None:
  """Copies all files of a directory to objects beneath a URL; those that make it count come last.

  Args:
    directory: on this machine.
    url: in a bucket.
    replace: whether objects that are there already are replaced; otherwise a file must fit into memory.

  Raises:
    UserError: it cannot be written to.
  """
  names = [path.relative_to(directory).as_posix() for path in sorted(directory.rglob('*')) if path.is_file()]
  names = [name for name in names if os.path.basename(name) != LAST_OBJECT]  # Orbax writes one on disks, too
  last = [name for name in names if os.path.basename(name) in LAST_FILES]
  steps: dict[str, list[str]] = {}  # the names in each
  for name in names:
    if step := STEP.match(f'{url}/{name}'):
      steps.setdefault(step[0], []).append(f'{url}/{name}'.removeprefix(step[0]))
  with stores.explained(url, 'written to'):
    put_all(directory, [name for name in names if name not in last], url, replace)
    for step_url, inside in steps.items():
      stores.persistently(partial(mark_parts, step_url, inside), url)
      stores.persistently(partial(mark_whole, step_url), url)
    put_all(directory, last, url, replace)


def mark_parts(step: str, names: Iterable[str]) -> None:
  """Marks each part of a step as whole, as Orbax does; before `mark_whole`.

  Args:
    step: its URL, with a slash at the end.
    names: of the objects beneath it.
  """
  for part in sorted({name.partition('/')[0] for name in names if '/' in name}):
    stores.write(f'{step}{part}/{LAST_OBJECT}', b'whole\n')


def mark_whole(step: str) -> None:
  """Makes a step count; takes its URL, with a slash at the end."""
  stores.write(f'{step}{LAST_OBJECT}', b'whole\n')


def put_all(directory: Path, names: Sequence[str], url: str, replace: bool = True) -> None:
  """Copies files of a directory to objects beneath a URL, many at once; tries for some minutes. See `upload`.

  Raises:
    Exception: whatever the store raises in the end.
  """
  with _threads() as (threads, given_up):

    def put(name: str) -> None:
      copy = stores.put if replace else _put_new
      stores.persistently(lambda: copy(directory / name, f'{url}/{name}'), url, given_up=given_up)

    for one in as_completed([threads.submit(put, name) for name in names]):
      one.result()


def counting(names: Iterable[str], url: str = '') -> set[str]:
  """Returns the names of objects that count: not those of checkpoint steps without `LAST_OBJECT`, nor remains.

  Args:
    names: of objects beneath `url`.
    url: which may itself end in the name of a checkpoint directory.
  """
  finished = {name for name in names if not any(map(is_unfinished, name.split('/')))}
  steps = {name: step[0] for name in finished if (step := STEP.match(f'{url}/{name}'))}
  whole = {step for name, step in steps.items() if f'{url}/{name}' == f'{step}{LAST_OBJECT}'}
  return {name for name in finished if name not in steps or steps[name] in whole}


def is_unfinished(name: str) -> bool:
  """Returns whether a file or directory of this name is of no use to others."""
  return bool(UNFINISHED.search(name))


def remove(directory: Path, name: str) -> None:
  """Deletes a file of a copy, and folders that it leaves empty: an empty one is taken for a step, too."""
  (directory / name).unlink(missing_ok=True)
  with contextlib.suppress(OSError):  # of the first that is not empty
    for folder in Path(name).parents:
      (directory / folder).rmdir()


@contextlib.contextmanager
def local_input(path: PathLike) -> Iterator[Path]:
  """Yields a file of this machine: the path itself, or a copy of an object, which is deleted afterwards.

  Raises:
    UserError: the URL cannot be read.
  """
  if not is_remote(path):
    yield expand_user(path)
    return
  url = str(path)
  with tempfile.TemporaryDirectory(prefix='lpips_jax-') as around:
    copy = Path(around) / Path(url).name
    show_as(copy, url)
    with stores.explained(url, 'read'):
      found = stores.persistently(lambda: stores.info(url), url)
      if found is None:
        raise UserError(f'{url} does not exist, or is no file')
      _download_one(url, found, copy)
    yield copy


@contextlib.contextmanager
def local_output(path: PathLike) -> Iterator[Path]:
  """Yields the name of a file to write: the path itself, or one whose content becomes the object if the body succeeds.

  Raises:
    UserError: the URL cannot be written to; this is tried before the body, which may take long.
  """
  if not is_remote(path):
    yield expand_user(path)
    return
  if not stores.names_object(str(path)):
    raise UserError(f'{path} names no file: write {str(path).rstrip("/")}/NAME')
  check_writable(str(path))
  with tempfile.TemporaryDirectory(prefix='lpips_jax-') as around:
    written = Path(around) / Path(str(path)).name
    show_as(written, str(path))
    yield written
    with stores.explained(path, 'written to'):
      stores.persistently(lambda: stores.put(written, str(path)), str(path))


def check_writable(url: str) -> None:
  """Raises UserError unless an object can be written: another one, deleted at once, is, without much patience."""
  with stores.explained(url, 'written to'):
    stores.write(f'{url}.part', b'')
    with contextlib.suppress(OSError):  # who may write may not always delete; nobody reads it
      stores.delete(f'{url}.part')


@contextlib.contextmanager
def local_output_directory(path: PathLike) -> Iterator[Path]:
  """As `local_output`, for a new directory, which the body makes.

  Raises:
    UserError: there is something already, or the URL cannot be written to.
  """
  if not is_remote(path):
    yield expand_user(path)
    return
  url = str(path).rstrip('/')
  with stores.explained(url, 'written to'):
    if stores.files_below(url) or stores.info(url):
      raise UserError(f'{url} is there already: give another destination')
  check_writable(url)
  with tempfile.TemporaryDirectory(prefix='lpips_jax-') as around:
    made = Path(around) / Path(url).name
    show_as(made, url)
    yield made
    upload(made, url)


def _put_new(path: Path, url: str) -> None:
  with contextlib.suppress(FileExistsError):
    stores.create(url, path.read_bytes())


def _download_one(url: str, file: RemoteFile, path: Path, given_up: threading.Event | None = None) -> RemoteFile:
  """Copies an object; returns its version that was copied, which is newer than `file` if it was replaced meanwhile."""
  part = path.with_name(f'{path.name}.part')
  path.parent.mkdir(parents=True, exist_ok=True)
  newest = file

  def copy() -> None:
    nonlocal newest
    if 0 < newest.size <= SMALL:
      part.write_bytes(stores.read(url, newest.size + 1))  # one more: a longer one that has replaced it is noticed
    else:
      stores.get(url, part)
    if not _came_whole(part, newest, url):
      found = stores.info(url)
      if found is None:
        raise FileNotFoundError(url)
      newest = dataclasses.replace(found, name=file.name)
      raise OSError(f'{url} came damaged, or was replaced meanwhile')

  try:
    stores.persistently(copy, url, given_up=given_up)
    os.replace(part, path)
  finally:
    part.unlink(missing_ok=True)
  return newest


def _came_whole(path: Path, file: RemoteFile, url: str) -> bool:
  if path.stat().st_size != file.size:
    return False
  return has_tag(path, file.tag) or (file.tag.startswith('md5:') and not stores.has_md5(url))


def has_tag(path: Path, tag: str) -> bool:
  """Returns whether a file has the digest of an object; True for a tag that is no digest."""
  kind, _, value = tag.partition(':')
  if kind == 'crc32c':
    import google_crc32c  # comes with gcsfs

    checksum = google_crc32c.Checksum()
    with path.open('rb') as file:
      for _ in checksum.consume(file, CHUNK):
        pass
    return b64encode(checksum.digest()).decode() == value
  if kind == 'md5':
    with path.open('rb') as file:
      return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == value
  return True


@contextlib.contextmanager
def _threads() -> Iterator[tuple[ThreadPoolExecutor, threading.Event]]:
  """Threads that start nothing new, and do not try again, once an error has been raised."""
  threads, given_up = ThreadPoolExecutor(THREADS), threading.Event()
  try:
    yield threads, given_up
  finally:
    given_up.set()
    threads.shutdown(wait=True, cancel_futures=True)
