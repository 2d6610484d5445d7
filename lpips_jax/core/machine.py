"""CPU cores of this machine, and its C library's handling of freed memory."""

import contextlib
import ctypes
import os

KEPT_BYTES = 64 << 20  # freed memory that a process keeps, and the largest block that it keeps
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # glibc's numbers of these options, malloc.h


def available_cores() -> int:
  """Returns the number of CPU cores that this process may use."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def return_freed_memory() -> None:
  """Makes the C library take large blocks from the system one by one, and return each once it is freed.

  By default glibc keeps freed frames in a heap for each thread: a dub of 1080p then takes 290 MiB more.
  """
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)  # other C libraries have none
  if mallopt is not None:
    mallopt(M_MMAP_THRESHOLD, 1 << 20)
    mallopt(M_ARENA_MAX, 2)


def keep_freed_memory() -> None:
  """Makes the C library keep freed memory: a record of half a megabyte is read twice as fast into pages it already has.

  By default glibc takes blocks of more than 128 kB from the system one by one, and returns them.
  """
  with contextlib.suppress(AttributeError, OSError):  # another C library
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
