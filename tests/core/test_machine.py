"""This machine's cores and memory."""

import os

from lpips_jax.core import machine


def test_cores_are_those_that_the_process_may_use(monkeypatch):
  assert 1 <= machine.available_cores() <= (os.cpu_count() or 1)
  monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {3, 5}, raising=False)
  assert machine.available_cores() == 2
  monkeypatch.delattr(os, 'sched_getaffinity')
  monkeypatch.setattr(os, 'cpu_count', lambda: None)
  assert machine.available_cores() == 1


def test_other_c_libraries_are_left_alone(monkeypatch):
  monkeypatch.setattr(machine.ctypes, 'CDLL', lambda _: object())
  machine.return_freed_memory()
  machine.keep_freed_memory()
