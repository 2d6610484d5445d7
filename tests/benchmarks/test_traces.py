"""The table of kernel groups: from a trace written by hand, and of a network of a few channels."""

import gzip
import json

import jax
import pytest

from benchmarks import roofline, traces
from lpips_jax.core.errors import UserError
from lpips_jax.planning.roofline import Peak


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
  assert traces.of_events([*named[1:2], *events[3:]]) == pytest.approx({'b': 7e-6})  # without a GPU


def test_a_small_network(monkeypatch):
  monkeypatch.setattr(roofline, 'measured_peak', lambda: Peak(1e9, 1e9))
  figures = roofline.measure('inference', 1, 'local', tiny=True, image_size=32, runs=1)
  rows = {row['group']: row for row in figures['rows']}
  assert {'generator, stem', 'generator, encoder 1', 'attention, spatial gates', 'alignment, Fourier units'} <= set(
    rows
  )
  assert rows['attention, channel gates']['measured'] > 0
  assert figures['seconds'] > 0 and figures['device_kind'] == jax.devices()[0].device_kind
  assert 0 < sum(row['flops'] for row in figures['rows']) < figures['xla_flops']
  shown = roofline.table(json.loads(json.dumps(figures)))
  assert '| attention, spatial gates | ' in shown and '| all | ' in shown and 'One run takes ' in shown
  with pytest.raises(UserError, match='--topology=nowhere'):
    roofline.measure('inference', 1, 'nowhere', tiny=True, image_size=32, runs=1)
