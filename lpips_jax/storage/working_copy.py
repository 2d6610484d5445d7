"""A directory of a bucket in which a run works: in a local copy, which is pushed to the bucket as it changes.

While the run works, a thread pushes what is new every `PUSH_SECONDS`: first all files but those of checkpoint steps,
then the steps that were complete before that, each with `LAST_OBJECT` at the end. So a step in the bucket is whole or
does not count, and the log lines up to it are there. What was deleted here is deleted there last, a step's
`LAST_OBJECT` first.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from absl import logging

from lpips_jax.core.errors import TryAgain, UserError, first_line
from lpips_jax.core.files import PathLike, expand_user, show_as, user_cache
from lpips_jax.storage import leases, stores
from lpips_jax.storage.leases import Lease
from lpips_jax.storage.places import is_remote
from lpips_jax.storage.transfer import (
  LAST_OBJECT,
  STEP,
  counting,
  download,
  has_tag,
  is_unfinished,
  mark_parts,
  mark_whole,
  put_all,
  remove,
)

PUSH_SECONDS = float(os.environ.get('LIPSYNC_PUSH_SECONDS', '10'))  # between two pushes
OLD_PROCESS_SECONDS = 60.0  # for which a process of an earlier run may still be about to end
ENVIRONMENT = 'LIPSYNC_WORK'  # names the directory for local copies
RUN_STEPS = 'checkpoint'  # the directory of a run's steps
STEP_METADATA = '_CHECKPOINT_METADATA'  # a file of each step
NEVER_READ = (
  'samples/',
  'diagnosis/',
  'tensorboard/',
  'profile/',
  'wandb/',
)  # what runs write alone, and a start leaves there
READ_BY_ALL = 'checkpoint/', 'compiled/'  # what processes other than the first bring


class FileState(NamedTuple):
  """A version of a file: its size, and the time of its last change in nanoseconds."""

  size: int
  changed: int


@contextlib.contextmanager
def working_copy(path: PathLike, process: int = 0) -> Iterator[Path]:
  """Yields a directory of this machine to work in: the path itself, or a copy of what a URL holds.

  Of several processes that train together each has a copy of its own. The first pushes all that is new in its copy, the
  others only files that the bucket did not have when they began. A copy is deleted in the end, unless the run failed or
  it could not be pushed.

  Args:
    path: of this machine, or a URL; there need be nothing yet.
    process: the number of this process among those that work together; the first must have entered before the others.

  Raises:
    TryAgain: another run is at work there, or the store does not answer.
    UserError: it cannot be read or written to, or something could not be pushed.
  """
  if not is_remote(path):
    yield expand_user(path)
    return
  url = str(path).rstrip('/')
  with leases.held(url) if process == 0 else contextlib.nullcontext() as lease, _own_directory(url, process) as local:
    show_as(local, url)
    copy = WorkingCopy(url, local, lease)
    copy.pull()
    with copy.pushing():
      yield local


class WorkingCopy:
  """A local directory and its counterpart in a bucket."""

  def __init__(self, url: str, local: Path, lease: Lease | None):
    """Names both; `lease` is that of the first process, None in others."""
    self._url, self._local, self._lease = url, local, lease
    self._pushed: dict[str, FileState] = {}  # files as the bucket has them
    self._theirs: set[str] = set()  # what others than the first process leave alone
    self._ended = threading.Event()

  def pull(self) -> None:
    """Brings what the bucket holds and runs read; the first process deletes there the remains of a step.

    Raises:
      UserError: it cannot be read, or holds steps none of which is marked as whole.
    """
    with stores.explained(self._url, 'read'):
      files = stores.persistently(lambda: stores.files_below(self._url), self._url)
      names = counting(file.name for file in files)
      if self._lease:
        for name in _remains(names, {file.name for file in files}, self._url):
          stores.delete(f'{self._url}/{name}')
    wanted = [file for file in files if file.name in names and self._is_read(file.name)]
    for name in _files_of(self._local, marks=True).keys() - {file.name for file in wanted}:
      remove(self._local, name)
    download(self._url, [file for file in wanted if not _is_here(self._local / file.name, file.tag)], self._local)
    self._pushed = _files_of(self._local)
    self._theirs = set(names)

  def _is_read(self, name: str) -> bool:
    """Returns whether the run reads an object that an earlier one has left."""
    if os.path.basename(name) == LAST_OBJECT or name.startswith(NEVER_READ):
      return False
    return bool(self._lease) or name.startswith(READ_BY_ALL)

  @contextlib.contextmanager
  def pushing(self) -> Iterator[None]:
    """Pushes what changes while the body runs, and what there is at its end, whether it succeeds or not.

    Raises:
      UserError: in the end something cannot be pushed.
    """
    thread = threading.Thread(target=self._push_regularly, name='push', daemon=True)
    thread.start()
    try:
      yield
    finally:
      self._ended.set()
      thread.join()
      try:
        stores.persistently(self.push, self._url)
      except Exception as error:
        kind = UserError if stores.is_final(error) else TryAgain
        raise kind(
          f'{self._url} cannot be written to ({first_line(error)}): what it lacks is in {os.fspath(self._local)}: copy '
          'it by hand'
        ) from error

  def push(self) -> None:
    """Pushes what has changed since the last push; after an error it may be called again."""
    if self._lease and not self._lease.is_held():
      return
    steps = _steps_of(self._local)
    here = {
      name: state
      for name, state in _files_of(self._local).items()
      if not (step := STEP.match(name)) or step[0] in steps
    }
    if not self._lease:
      here = {name: state for name, state in here.items() if name not in self._theirs and not STEP.match(name)}
    changed = {name: state for name, state in here.items() if self._pushed.get(name) != state}
    self._put({name: state for name, state in changed.items() if not STEP.match(name)})
    for beginning in sorted(steps):
      if of_step := {name: state for name, state in changed.items() if name.startswith(beginning)}:
        self._push_step(beginning, of_step)
    if self._lease and self._lease.is_held():
      self._delete(self._pushed.keys() - here.keys())

  def _push_step(self, beginning: str, files: dict[str, FileState]) -> None:
    """Pushes a step, or what has changed of it; it counts once it is whole, wherever this is cut."""
    url, last = f'{self._url}/{beginning}', f'{beginning}{STEP_METADATA}'
    if any(name.startswith(beginning) for name in self._pushed):
      stores.delete(f'{url}{LAST_OBJECT}')
    self._put({name: state for name, state in files.items() if name != last})
    if not (self._local / beginning).is_dir():  # it was deleted while it was copied
      return
    mark_parts(url, [name.removeprefix(beginning) for name in files])
    self._put({name: state for name, state in files.items() if name == last})
    if (self._local / beginning).is_dir() and self._lease and self._lease.is_held():
      mark_whole(url)

  def _push_regularly(self) -> None:
    while not self._ended.wait(PUSH_SECONDS):
      try:
        self.push()
      except Exception as error:  # the run goes on, and the next push takes all that this one did not
        logging.log_every_n_seconds(
          logging.WARNING, '%s cannot be written to (%s): trying again', 60, self._url, first_line(error)
        )

  def _put(self, files: dict[str, FileState]) -> None:
    """Copies files to the bucket; those that are gone meanwhile are left out."""
    put_all(self._local, [name for name in files if (self._local / name).exists()], self._url)
    self._pushed |= files

  def _delete(self, names: set[str]) -> None:
    """Deletes objects in the bucket; of a step that is gone first what makes it count, and all the rest."""
    gone = {step[0] for name in names if (step := STEP.match(name)) and not (self._local / step[0]).is_dir()}
    for beginning in gone:
      url = f'{self._url}/{beginning.rstrip("/")}'
      stores.delete(f'{url}/{LAST_OBJECT}')
      for file in stores.files_below(url):
        stores.delete(f'{url}/{file.name}')
    for name in names:
      if not name.startswith(tuple(gone)):
        stores.delete(f'{self._url}/{name}')
      del self._pushed[name]


@contextlib.contextmanager
def _own_directory(url: str, process: int) -> Iterator[Path]:
  """Yields the directory of this machine for the copy of a URL, and removes it if the body succeeds.

  Raises:
    TryAgain: a process of an earlier run still holds it.
  """
  root = os.environ.get(ENVIRONMENT)
  digest = hashlib.sha256(url.encode()).hexdigest()[:12]
  local = (expand_user(root) if root else user_cache() / 'work') / f'{Path(url).name}-{digest}-{process}'
  local.parent.mkdir(parents=True, exist_ok=True)
  with open(f'{local}.lock', 'w') as lock:
    begun = time.monotonic()
    while True:
      try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
      except BlockingIOError as error:
        if time.monotonic() - begun > OLD_PROCESS_SECONDS:
          raise TryAgain(f'another process of this machine works in {url}: wait for it, or end it') from error
        time.sleep(1)
    local.mkdir(exist_ok=True)
    yield local
    shutil.rmtree(local, ignore_errors=True)


def _remains(names: set[str], there: set[str], url: str) -> set[str]:
  """Returns the objects of steps that a run was pushing, or deleting, when it was killed.

  Such a step has parts that are marked, or it lacks its metadata and is newer than all that are whole. A step with
  metadata and without any mark is somebody else's copy, and stays.

  Args:
    names: of the objects that count.
    there: of all objects.
    url: of the directory.

  Raises:
    UserError: there are such copies, and no step that is whole: nobody can tell whether they are.
  """
  newest = max(map(_step_number, names), default=-1)
  steps: dict[int, set[str]] = {}
  for name in there - names:
    steps.setdefault(_step_number(name), set()).add(name)
  remains: set[str] = set()
  for number in steps.keys() - {-1}:
    kinds = {os.path.basename(name) for name in steps[number]}
    if LAST_OBJECT in kinds or (STEP_METADATA not in kinds and number > newest):
      remains |= steps[number]
    elif newest < 0:
      raise UserError(
        f'{url}/{RUN_STEPS} has steps, none of which is marked as whole: add an object {LAST_OBJECT} to those that '
        'are, and delete the others'
      )
  return remains


def _step_number(name: str) -> int:
  """Returns the number of the run's step to which a file belongs; -1 if it belongs to none."""
  found = re.match(rf'{RUN_STEPS}/(\d+)/', name)
  return int(found[1]) if found else -1


def _files_of(directory: Path, marks: bool = False) -> dict[str, FileState]:
  """Returns the finished files of a directory by their names in it; with or without those that mark whole steps."""
  files = {}
  for folder, folders, names in os.walk(directory):
    folders[:] = [name for name in folders if not _stays_here(name)]
    for name in names:
      if not _stays_here(name) and (marks or name != LAST_OBJECT):  # Orbax writes them on disks, too
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):
          found = os.stat(path)
          files[os.path.relpath(path, directory)] = FileState(found.st_size, found.st_mtime_ns)
  return files


def _stays_here(name: str) -> bool:
  """Returns whether a file or folder is hidden, as those that are being written are, or unfinished."""
  return name.startswith('.') or is_unfinished(name)


def _steps_of(directory: Path) -> set[str]:
  """Returns the checkpoint steps that are complete, as beginnings of the names of their files."""
  found = (STEP.match(name) for name in _files_of(directory))
  return {step[0] for step in found if step}


def _is_here(path: Path, tag: str) -> bool:
  """Returns whether a file is an object of which the store tells a digest."""
  return not tag.startswith('tag:') and path.is_file() and has_tag(path, tag)
