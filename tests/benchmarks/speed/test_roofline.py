"""The roofline of a network of a few channels."""

import json

import jax
import pytest

from benchmarks.speed import roofline
from lpips_jax.core.errors import UserError
from lpips_jax.planning.roofline import PeakRates


def test_a_small_network(monkeypatch):
  monkeypatch.setattr(roofline, 'measured_peak', lambda: PeakRates(1e9, 1e9))
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
  with pytest.raises(UserError, match='topology=nowhere'):
    roofline.measure('inference', 1, 'nowhere', tiny=True, image_size=32, runs=1)
