"""Set-up of worker processes: signals, and the end of their parent."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker


def end_with_parent() -> None:
  """Makes this process end when its parent does, and not before.

  Otherwise workers would wait for ever once their parent is killed. They ignore Ctrl-C, which a terminal sends to all
  processes: the parent handles it, and they end with it, without a message each.
  """
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_wait_for_parent, daemon=True).start()


@contextlib.contextmanager
def signal_blocked(number: signal.Signals) -> Iterator[None]:
  """Delays a signal until the body is done; processes that are started within it never receive the signal."""
  before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_resource_tracker() -> None:
  """Starts Python's resource tracker, a process that frees shared memory of workers, with its warnings off.

  Call it before the first worker starts and outside of `signal_blocked`: starting the tracker unblocks signals, in this
  process and in those that it starts afterwards.
  """
  os.environ.setdefault('PYTHONWARNINGS', 'ignore:resource_tracker')
  resource_tracker.ensure_running()


def _wait_for_parent() -> None:
  parent = multiprocessing.parent_process()
  assert parent is not None  # called in child processes alone
  parent.join()
  os._exit(1)
