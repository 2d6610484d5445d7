"""Heartbeats of processes that train together, for what no closed connection tells: a lost machine, a cut network.

Each process counts up a value in the key-value store of the first one. The first watches those of the others, and they
watch the first's, each by its own monotonic clock: clocks of different hosts are never compared.
"""

import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

BEAT_SECONDS = 1.0
# Far above what stops the heartbeat of a process that is well: C++ that holds the interpreter's lock (2 s at most while
# configs/lrs2.py is compiled), a machine that swaps or moves to another host. Below a minute, in which the others end.
SILENT_SECONDS = 30.0
PAUSE_SECONDS = 3.0  # without a look, after which this process itself has paused, and cannot blame the others
BEATS = 'lpips_jax/beats/'  # prefix of the keys


class Silence(NamedTuple):
  """A process that has not been heard for `SILENT_SECONDS`."""

  process: int
  host: str


class Watch:
  """Measures how long each of the others has been silent.

  Args:
    others: their numbers.
    clock: of this process, in seconds.
  """

  def __init__(self, others: list[int], clock: Callable[[], float] = time.monotonic) -> None:
    self._clock = clock
    self._looked = clock()
    self._heard = dict.fromkeys(others, self._looked)
    self._beats = dict.fromkeys(others, '')

  @property
  def others(self) -> list[int]:
    return list(self._heard)

  def hear(self, process: int, beat: str) -> None:
    """Takes the last heartbeat of another process: it lives if that has changed."""
    if self._beats[process] != beat:
      self._beats[process] = beat
      self._heard[process] = self._clock()

  def look(self) -> float:
    """Returns for how long this process has not looked; none of it counts as the others' silence."""
    now = self._clock()
    paused, self._looked = now - self._looked, now
    if paused > PAUSE_SECONDS:
      self._heard = {process: min(now, heard + paused) for process, heard in self._heard.items()}
    return paused

  def silent(self) -> list[Silence]:
    """Returns those that have been silent for too long."""
    now = self._clock()
    quiet = [process for process, heard in self._heard.items() if now - heard > SILENT_SECONDS]
    return [Silence(process, self._beats[process].partition(' ')[2]) for process in quiet]


def exchange(client: Any, process: int, count: int, watch: Watch) -> None:
  """Beats once, and hears those whom `watch` watches.

  Args:
    client: of the key-value store.
    process: the number of this one.
    count: of its heartbeats.
    watch: its watch.
  """
  client.key_value_set(f'{BEATS}{process}', f'{count} {socket.gethostname()}', allow_overwrite=True)
  if process:
    watch.hear(0, client.key_value_try_get(f'{BEATS}0'))
  else:
    for key, beat in client.key_value_dir_get(BEATS):
      other = int(key.rpartition('/')[2])
      if other:
        watch.hear(other, beat)
