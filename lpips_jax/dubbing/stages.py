"""A pipeline of stages, each in a thread of its own, with a bounded queue to the next.

Reading, resizing, networks and encoding all release Python's lock while they work, so threads are enough.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import cv2

from lpips_jax.core.errors import Cancelled

_POLL_SECONDS = 0.1  # after which a waiting thread checks whether it should stop
_END = object()

Item = TypeVar('Item')


@dataclass
class StageTimes:
  """The work of one stage.

  Attributes:
    items: how many it has passed on.
    busy: seconds, without those in which it waited for its input or for room in its queue.
    cpu: seconds of processor time of its own thread; libraries' threads are not counted.
  """

  items: int = 0
  busy: float = 0.0
  cpu: float = 0.0

  def __add__(self, other: 'StageTimes') -> 'StageTimes':
    return StageTimes(self.items + other.items, self.busy + other.busy, self.cpu + other.cpu)


def profile_table(times: Mapping[str, StageTimes], seconds: float) -> str:
  """Returns a table of the time that each stage took, and the whole; stages overlap, so they may add up to more.

  Args:
    times: of the stages, by name.
    seconds: of the whole.
  """
  rows = [f'{"stage":<12}{"frames":>8}{"busy, s":>10}{"a frame, ms":>13}{"busy":>7}{"own CPU, s":>12}']
  for name, spent in times.items():
    each = 1000 * spent.busy / max(1, spent.items)
    rows.append(
      f'{name:<12}{spent.items:>8}{spent.busy:>10.2f}{each:>13.2f}{spent.busy / seconds:>7.0%}{spent.cpu:>12.2f}'
    )
  frames = max((spent.items for spent in times.values()), default=0)
  return '\n'.join([*rows, f'{"all":<12}{frames:>8}{seconds:>10.2f}{1000 * seconds / max(1, frames):>13.2f}'])


@dataclass
class _Failure:
  """The end of a stage that raised an error."""

  error: BaseException


class _Stopped(Exception):
  """Ends a stage whose results are no longer wanted."""


class _OpenCV:
  """OpenCV's number of threads, which is set for the whole process.

  Attributes:
    lock: guards the others.
    wanted: contexts that want OpenCV on one thread.
    threads: OpenCV's number before the first of them.
  """

  lock = threading.Lock()
  wanted = 0
  threads = 0


@contextlib.contextmanager
def opencv_on_one_thread() -> Iterator[None]:
  """Keeps OpenCV on one thread: its own threads wait by spinning, and get in the way of stages that work side by side.

  Contexts of several threads may overlap: the last one to end restores the threads.
  """
  with _OpenCV.lock:
    if not _OpenCV.wanted:
      _OpenCV.threads = cv2.getNumThreads()
      cv2.setNumThreads(1)
    _OpenCV.wanted += 1
  try:
    yield
  finally:
    with _OpenCV.lock:
      _OpenCV.wanted -= 1
      if not _OpenCV.wanted:
        cv2.setNumThreads(_OpenCV.threads)


class Stages:
  """A context whose stages run ahead of their consumers; leaving it ends all of them.

  Args:
    cancel: once it is set, consumers of the stages get `Cancelled`.

  Attributes:
    times: of each stage, by its name, in the order in which they were started.
  """

  def __init__(self, cancel: threading.Event | None = None) -> None:
    self.times: dict[str, StageTimes] = {}
    self._cancel = cancel or threading.Event()
    self._stop = threading.Event()
    self._threads: list[threading.Thread] = []
    self._waiting = threading.local()

  def __enter__(self) -> 'Stages':
    return self

  def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
    self._stop.set()
    for thread in self._threads:
      thread.join()

  def ahead(self, name: str, items: Iterable[Item], depth: int) -> Iterator[Item]:
    """Starts a stage that makes its items in a thread.

    Args:
      name: of the stage.
      items: its work.
      depth: how many items the thread may be ahead of the consumer.

    Returns:
      The items. An error of the stage is raised here, after the items before it.
    """
    made: queue.Queue[Any] = queue.Queue(depth)  # items, then `_END` or a `_Failure`
    thread = threading.Thread(target=self._work, args=(name, iter(items), made), name=f'dubbing: {name}', daemon=True)
    self.times[name] = StageTimes()
    self._threads.append(thread)
    thread.start()
    return self._received(made)

  def here(self, name: str, items: Iterable[Item]) -> Iterator[Item]:
    """Runs the last stage, in the thread of the caller."""
    self.times[name] = StageTimes()
    iterator = iter(items)
    while (item := self._next(name, iterator)) is not _END:
      yield item
      self._check()

  def _work(self, name: str, items: Iterator[Any], made: queue.Queue[Any]) -> None:
    try:
      while (item := self._next(name, items)) is not _END:
        self._put(made, item)
      self._put(made, _END)
    except _Stopped:
      pass
    except BaseException as error:  # of whatever kind: the consumer raises it
      with contextlib.suppress(_Stopped):
        self._put(made, _Failure(error))
    finally:
      if hasattr(items, 'close'):
        items.close()

  def _next(self, name: str, items: Iterator[Any]) -> Any:
    """Returns the next item, or `_END`, and counts the work."""
    times, begun, cpu = self.times[name], time.perf_counter(), time.thread_time()
    self._waiting.seconds = 0.0
    item = next(items, _END)
    times.busy += time.perf_counter() - begun - self._waiting.seconds
    times.cpu += time.thread_time() - cpu
    times.items += item is not _END
    return item

  def _check(self) -> None:
    if self._cancel.is_set():
      raise Cancelled

  def _put(self, made: queue.Queue[Any], item: Any) -> None:
    while not self._stop.is_set():
      try:
        made.put(item, timeout=_POLL_SECONDS)
        return
      except queue.Full:
        pass
    raise _Stopped

  def _received(self, made: queue.Queue[Any]) -> Iterator[Any]:
    while True:
      item = self._get(made)
      if item is _END:
        return
      if isinstance(item, _Failure):
        try:
          raise item.error
        finally:
          del item  # else the error would hold itself, by its traceback, and with it all that the stages held
      yield item

  def _get(self, made: queue.Queue[Any]) -> Any:
    """Returns the next item of a queue, and counts the waiting for the stage that asks."""
    begun = time.perf_counter()
    try:
      while not self._stop.is_set():
        self._check()
        try:
          return made.get(timeout=_POLL_SECONDS)
        except queue.Empty:
          pass
      raise _Stopped
    finally:
      self._waiting.seconds = getattr(self._waiting, 'seconds', 0.0) + time.perf_counter() - begun
