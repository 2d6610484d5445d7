"""The line of people who wait for a dub: one is made at a time, in the order in which they came."""

import gc
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from lpips_jax.core.errors import Cancelled, UserError
from lpips_jax.core.progress import Progress, Report

T = TypeVar('T')
Work = Callable[[Report, threading.Event], T]  # works, reports its progress, and raises Cancelled once the event is set


class Job(Generic[T]):
  """A place in the line, and later the work's progress and its result.

  Attributes:
    progress: what the work has reported last; None before it begins.
  """

  def __init__(self, work: Work[T], line: 'Line') -> None:
    self.progress: Progress | None = None
    self._work, self._line = work, line
    self._cancel = threading.Event()
    self._future: Future[T] = Future()

  @property
  def before(self) -> int:
    """The number of jobs that come before this one: 0 if it is at work, or done."""
    return self._line.before(self)

  @property
  def done(self) -> bool:
    return self._future.done()

  def cancel(self) -> None:
    """Ends the job, now if it still waits, else within about a second; it then raises Cancelled."""
    self._cancel.set()
    self._line.leave(self)

  def result(self, timeout: float | None = None) -> T:
    """Waits for the result of the work, and returns it, or raises its error."""
    return self._future.result(timeout)

  def run(self) -> None:
    """Does the work, unless it has been cancelled before; for the line."""
    try:
      if self._cancel.is_set():
        raise Cancelled
      self._future.set_result(self._work(self._note, self._cancel))
    except (Cancelled, UserError) as error:
      self._future.set_exception(error.with_traceback(None))  # whose frames hold films that are open
    except BaseException as error:
      self._future.set_exception(error)
    del self._work  # and all that it holds
    gc.collect()  # decoders and their threads are in cycles, which are not collected for long

  def give_up(self) -> None:
    """Ends a job that has not begun; for the line."""
    self._future.set_exception(Cancelled())

  def _note(self, progress: Progress) -> None:
    self.progress = progress


class Line:
  """Works on one job at a time, in order, in a thread of its own.

  Args:
    max_jobs: jobs at work or waiting at once.
  """

  def __init__(self, max_jobs: int) -> None:
    self._max_jobs = max_jobs
    self._jobs: list[Job] = []  # the one at work first
    self._lock = threading.Lock()
    self._worker = ThreadPoolExecutor(1, thread_name_prefix='dubbing')

  def join(self, work: Work[T]) -> Job[T]:
    """Appends a job to the line.

    Raises:
      UserError: too many wait already.
    """
    job: Job[T] = Job(work, self)
    with self._lock:
      if len(self._jobs) >= self._max_jobs:
        raise UserError(f'{len(self._jobs)} dubs are in the queue, and no more are taken: try again in a few minutes')
      self._jobs.append(job)
    self._worker.submit(self._next)
    return job

  def first(self, work: Callable[[], T]) -> Future[T]:
    """Does some work before all jobs that join later; nobody sees it in the line."""
    return self._worker.submit(work)

  def before(self, job: Job) -> int:
    """Returns how many jobs come before this one."""
    with self._lock:
      return self._jobs.index(job) if job in self._jobs else 0

  def leave(self, job: Job) -> None:
    """Takes a job that waits out of the line; one that is at work stays until it ends."""
    with self._lock:
      waits = job in self._jobs[1:] or (job in self._jobs and not self._busy)
      if waits:
        self._jobs.remove(job)
    if waits:
      job.give_up()

  def close(self) -> None:
    """Cancels all jobs, and waits for the one at work to end."""
    with self._lock:
      jobs = list(self._jobs)
    for job in reversed(jobs):
      job.cancel()
    self._worker.shutdown(cancel_futures=True)

  _busy = False

  def _next(self) -> None:
    with self._lock:
      if not self._jobs:
        return  # its job has left
      job, self._busy = self._jobs[0], True
    try:
      job.run()
    finally:
      with self._lock:
        self._jobs.remove(job)
        self._busy = False
