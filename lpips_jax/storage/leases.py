"""One run at a time in a directory of a bucket, where there are no locks.

The owner of `DIRECTORY` is the run that created the object with the greatest number in `DIRECTORY/.lease/`. The store
grants the creation of an object to one run only. The owner rewrites its object every few seconds. A run that wants to
take over watches it: if it changes, somebody is at work there; if it does not for `EXPIRES_SECONDS` by the watcher's
own clock, the owner is gone, and the watcher tries to create the next number. So clocks that differ do no harm, and an
owner that was cut off for long finds a greater number, and ends.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from absl import logging

from lpips_jax.core.endings import BAD_INPUT, Ending, exit_at_once, report
from lpips_jax.core.errors import TryAgain, first_line
from lpips_jax.storage import stores

DIRECTORY = '.lease'
RENEWAL_SECONDS = 8.0
EXPIRES_SECONDS = 30.0  # without renewal
ATTEMPTS = 10  # to be the one that creates the next object


class Lease:
  """The right to write to a directory of a bucket, from `acquire` until `release`."""

  def __init__(self, url: str, number: int, token: str):
    self._url, self._number, self._token = url, number, token
    self._renewals = 0
    self._ended = threading.Event()
    self._thread: threading.Thread | None = None
    self._on_lost: Callable[[str], None] = end_process

  def keep(self, on_lost: Callable[[str], None]) -> None:
    """Renews the lease in the background from now on.

    Args:
      on_lost: called once another run has taken over, with a line that says so; perhaps in another thread.
    """
    self._on_lost = on_lost
    self._thread = threading.Thread(target=self._renew, name='lease', daemon=True)
    self._thread.start()

  def release(self) -> None:
    """Lets the next run begin at once."""
    self._ended.set()
    if self._thread:
      self._thread.join()
    stores.write(_object(self._url, self._number), self._content(released=True))

  def is_held(self) -> bool:
    """Returns whether no other run has taken over, and calls `on_lost` if one has; raises what the store raises."""
    numbers = _numbers(self._url)
    if not numbers or numbers[-1] <= self._number:
      return True
    other = _read(self._url, numbers[-1]).get('host', 'another host')
    self._on_lost(f'a run on {other} has taken over {self._url}, as this one could not be heard of for long, and ends')
    return False

  def _renew(self) -> None:
    while not self._ended.wait(RENEWAL_SECONDS):
      try:
        if not self.is_held():
          return
        self._renewals += 1
        stores.write(_object(self._url, self._number), self._content())
      except Exception as error:  # the store does not answer: nobody else can take over either
        logging.log_every_n_seconds(logging.WARNING, 'the lease of %s: %s', 60, self._url, first_line(error))

  def _content(self, released: bool = False) -> bytes:
    owner = {'host': socket.gethostname(), 'identity': _identity(os.getpid())}
    return json.dumps({'token': self._token, 'renewals': self._renewals, 'released': released} | owner).encode()


@contextlib.contextmanager
def held(url: str) -> Iterator[Lease]:
  """Takes the lease of a directory, and keeps it while the body runs; if another run takes over, this process ends.

  Raises:
    TryAgain: another run is at work there.
    UserError: the directory cannot be written to.
  """
  lease = acquire(url)
  lease.keep(end_process)
  try:
    yield lease
  finally:
    with contextlib.suppress(Exception):  # then it expires
      lease.release()


def acquire(url: str, say: Callable[[str], None] = print) -> Lease:
  """Takes the lease of a directory; waits for one that may have been left by a run that was killed.

  Args:
    url: of the directory.
    say: gets a line if there is something to wait for.

  Raises:
    TryAgain: another run is at work there.
    UserError: the directory cannot be written to.
  """
  with stores.explained(url, 'written to'):
    for _ in range(ATTEMPTS):
      numbers = stores.persistently(lambda: _numbers(url), url)
      if numbers:
        _wait_until_free(url, numbers[-1], say)
      number, token = (numbers[-1] if numbers else 0) + 1, secrets.token_hex(8)
      lease = Lease(url, number, token)
      with contextlib.suppress(FileExistsError):  # another was quicker; or our own attempt, which was repeated
        stores.create(_object(url, number), lease._content())
      if _read(url, number).get('token') != token:
        continue  # where a store ignores the condition, this tells, but for a race
      for old in numbers:
        stores.delete(_object(url, old))
      return lease
  raise TryAgain(f'{url}: other runs begin there all the time: let one of them work')


def end_process(line: str) -> NoReturn:
  """Ends this process with one line."""
  report(Ending(line, BAD_INPUT))
  exit_at_once(BAD_INPUT)


def _wait_until_free(url: str, number: int, say: Callable[[str], None]) -> None:
  """Returns once nobody seems to own the directory; raises UserError if somebody does."""
  first = _read(url, number)
  if first.get('released') or _has_died(first):
    return
  holder = f'the run on {first.get("host", "another host")}'
  say(f'{url}: waiting up to {EXPIRES_SECONDS:.0f} s to see whether {holder} is still at work')
  begun = time.monotonic()
  while time.monotonic() - begun < EXPIRES_SECONDS:
    time.sleep(min(1.0, EXPIRES_SECONDS / 10))
    now = stores.persistently(lambda: _read(url, number), url)
    if now.get('released') or not now:
      return
    if now != first:
      raise TryAgain(f'another run, on {now.get("host")}, is at work in {url}: wait for it, or end it')


def _has_died(entry: dict[str, Any]) -> bool:
  """Returns whether the process was one of this host and container, and is gone."""
  identity = str(entry.get('identity', ''))
  pid, _, _ = identity.partition(' ')
  same_place = identity.split(' ')[2:] == _identity(os.getpid()).split(' ')[2:]
  return same_place and pid.isdigit() and _identity(int(pid)) != identity


def _identity(pid: int) -> str:
  """Tells a process from all others, of this host and of others.

  Returns:
    Its number, when it started, its container and the boot; without /proc its number and what no other call returns.
  """
  try:
    state, *rest = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    started = 'gone' if state in 'ZX' else rest[18]
  except OSError:
    started = 'gone'
  try:
    boot = Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    return f'{pid} {started} {os.readlink("/proc/self/ns/pid")} {boot}'
  except OSError:
    return f'{pid} {started} {secrets.token_hex(4)}'


def _numbers(url: str) -> list[int]:
  names = [file.name for file in stores.files_below(f'{url}/{DIRECTORY}')]
  return sorted(int(name) for name in names if name.isdigit())


def _object(url: str, number: int) -> str:
  return f'{url}/{DIRECTORY}/{number:06d}'


def _read(url: str, number: int) -> dict[str, Any]:
  try:
    entry = json.loads(stores.read(_object(url, number)))
  except (FileNotFoundError, ValueError):
    return {}
  return entry if isinstance(entry, dict) else {}
