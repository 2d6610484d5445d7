"""Steps of a pipeline, each in a thread of its own, with a bounded queue to the next.

Reading, resizing, networks and encoding all release Python's lock while they work, so threads are enough.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import cv2

_PATIENCE = 0.1  # seconds a thread waits before it looks whether it is still wanted
_END = object()


@dataclass
class Times:
  """What a stage has done.

  Attributes:
    items: how many it has passed on.
    busy: seconds, but for those in which it waited for its input or for room in its queue.
    cpu: seconds of processor time of its own thread; libraries' threads come on top.
  """

  items: int = 0
  busy: float = 0.0
  cpu: float = 0.0

  def __add__(self, other: 'Times') -> 'Times':
    return Times(self.items + other.items, self.busy + other.busy, self.cpu + other.cpu)


def profile(times: Mapping[str, Times], seconds: float) -> str:
  """Returns a table of what each stage took, and of the whole; stages work side by side, so that they add up to more.

  Args:
    times: of the stages.
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
  error: BaseException


class _Unwanted(Exception):
  """Ends a stage whose results nobody waits for any more."""


class _OpenCV:
  """Who wants OpenCV on one thread, which is set for the whole process, and how many threads it had before."""

  lock = threading.Lock()
  wanted = 0
  threads = 0


@contextlib.contextmanager
def opencv_on_one_thread() -> Iterator[None]:
  """While stages work side by side, OpenCV's own threads only get into their way: they wait by spinning.

  Contexts of several threads may overlap: the last one that ends brings the threads back.
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
  """Runs iterators ahead of whoever consumes them; leaving the context ends all of them.

  Attributes:
    times: of each stage, by its name, in the order of their start.
  """

  def __init__(self) -> None:
    self.times: dict[str, Times] = {}
    self._stop = threading.Event()
    self._threads: list[threading.Thread] = []
    self._waiting = threading.local()

  def __enter__(self) -> 'Stages':
    return self

  def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
    self._stop.set()
    for thread in self._threads:
      thread.join()

  def ahead(self, name: str, items: Iterable[Any], depth: int) -> Iterator[Any]:
    """Starts a stage: its items are made in a thread, at most `depth` ahead of the iterator returned.

    What the stage raises is raised by the iterator, after the items before it.
    """
    made: queue.Queue = queue.Queue(depth)
    thread = threading.Thread(target=self._work, args=(name, iter(items), made), name=f'dubbing: {name}', daemon=True)
    self.times[name] = Times()
    self._threads.append(thread)
    thread.start()
    return self._taken(made)

  def here(self, name: str, items: Iterable[Any]) -> Iterator[Any]:
    """The last stage, in the thread of the caller."""
    self.times[name] = Times()
    items = iter(items)
    while (item := self._next(name, items)) is not _END:
      yield item

  def _work(self, name: str, items: Iterator[Any], made: queue.Queue) -> None:
    try:
      while (item := self._next(name, items)) is not _END:
        self._put(made, item)
      self._put(made, _END)
    except _Unwanted:
      pass
    except BaseException as error:  # whatever it is, the consumer raises it
      with contextlib.suppress(_Unwanted):
        self._put(made, _Failure(error))
    finally:
      if hasattr(items, 'close'):
        items.close()

  def _next(self, name: str, items: Iterator[Any]) -> Any:
    times, begun, cpu = self.times[name], time.perf_counter(), time.thread_time()
    self._waiting.seconds = 0.0
    item = next(items, _END)
    times.busy += time.perf_counter() - begun - self._waiting.seconds
    times.cpu += time.thread_time() - cpu
    times.items += item is not _END
    return item

  def _put(self, made: queue.Queue, item: Any) -> None:
    while not self._stop.is_set():
      try:
        return made.put(item, timeout=_PATIENCE)
      except queue.Full:
        pass
    raise _Unwanted

  def _taken(self, made: queue.Queue) -> Iterator[Any]:
    while True:
      item = self._get(made)
      if item is _END:
        return
      if isinstance(item, _Failure):
        raise item.error
      yield item

  def _get(self, made: queue.Queue) -> Any:
    begun = time.perf_counter()
    try:
      while not self._stop.is_set():
        try:
          return made.get(timeout=_PATIENCE)
        except queue.Empty:
          pass
      raise _Unwanted
    finally:
      self._waiting.seconds = getattr(self._waiting, 'seconds', 0.0) + time.perf_counter() - begun
