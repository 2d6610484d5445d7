"""Kernel times are read from a trace written by hand."""

import gzip
import json

import pytest

from benchmarks.speed import traces


def event(process, line, name, duration, kind='X'):
  return {'ph': kind, 'pid': process, 'tid': line, 'name': 'e', 'dur': duration, 'args': {'hlo_op': name}}


def test_events_of_a_trace(tmp_path):
  named = [
    {'ph': 'M', 'pid': 1, 'name': 'process_name', 'args': {'name': '/device:GPU:0'}},
    {'ph': 'M', 'pid': 2, 'name': 'process_name', 'args': {'name': '/host:CPU'}},
    {'ph': 'M', 'pid': 1, 'tid': 1, 'name': 'thread_name', 'args': {'name': 'Stream #13(Compute)'}},
    {'ph': 'M', 'pid': 1, 'tid': 2, 'name': 'thread_name', 'args': {'name': 'XLA Ops'}},
  ]
  events = [event(1, 1, 'a', 2.0), event(1, 1, 'a', 3.0), event(1, 2, 'a', 5.0), event(2, 1, 'b', 7.0)]
  events += [{'ph': 'X', 'pid': 2, 'tid': 1, 'name': 'python', 'dur': 9.0}, event(2, 1, 'b', 1.0, 'i')]
  directory = tmp_path / 'plugins' / 'profile' / 'now'
  directory.mkdir(parents=True)
  with gzip.open(directory / 'machine.trace.json.gz', 'wt') as file:
    json.dump({'traceEvents': named + events}, file)
  assert traces.kernel_seconds(tmp_path) == pytest.approx({'a': 5e-6})
  assert traces.seconds_of_events([*named[1:2], *events[3:]]) == pytest.approx({'b': 7e-6})  # without a GPU
