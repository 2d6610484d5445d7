"""Cores and memory of this machine."""

import contextlib
import ctypes
import os

KEPT_MEMORY = 64 << 20  # bytes
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # glibc's numbers, malloc.h


def available_cores() -> int:
  """How many CPU cores this process may use."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def return_freed_memory() -> None:
  """Has the C library take large blocks from the system one by one, and give each back once it is freed.

  By default glibc keeps freed frames in a heap for each thread: a dub of 1080p then takes 290 MiB more.
  """
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)  # other C libraries have none
  if mallopt is not None:
    mallopt(M_MMAP_THRESHOLD, 1 << 20)
    mallopt(M_ARENA_MAX, 2)


def keep_freed_memory() -> None:
  """Has the C library keep what is freed: a record of half a megabyte is read twice as fast where no new pages are.

  By default glibc takes blocks of more than 128 kB from the system one by one, and gives them back.
  """
  with contextlib.suppress(AttributeError, OSError):  # another C library
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, KEPT_MEMORY)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY)
