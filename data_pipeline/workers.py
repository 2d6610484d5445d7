"""What the data pipeline's worker processes need to be told."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker


def end_with_parent() -> None:
  """Has this process end when its parent does, and not before: else workers would wait for ever, or die one by one.

  A terminal's Ctrl-C reaches all of them; the parent then ends, and they with it, without a word each.
  """
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_wait_for_parent, daemon=True).start()


@contextlib.contextmanager
def held_back(number: signal.Signals) -> Iterator[None]:
  """A signal that arrives meanwhile is delivered afterwards; processes that are started meanwhile never see it."""
  before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_tracker() -> None:
  """Starts Python's resource tracker, a process that frees the memory that workers shared, without a warning.

  To be called before the first worker starts, and outside of `held_back`: Python delivers what is held back to whoever
  starts the tracker, and to the processes that it starts thereafter.
  """
  os.environ.setdefault('PYTHONWARNINGS', 'ignore:resource_tracker')
  resource_tracker.ensure_running()


def _wait_for_parent() -> None:
  multiprocessing.parent_process().join()
  os._exit(1)
