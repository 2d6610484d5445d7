"""Two processes of two devices take the steps of one device; benchmarks/quality/devices.py compares more."""

import pytest

from benchmarks.quality import devices


@pytest.mark.slow
def test_gradients_and_losses_are_those_of_one_device(directory, monkeypatch):
  monkeypatch.setattr(devices, 'LAYOUTS', {'two of two': (2, 2)})
  found = devices.compare(devices.Trained(str(directory / 'data'), {'float64': 2}, ['sync_expert']))
  figures = found['two of two']['sync_expert']
  assert figures['float64'] < 1e-6
  assert figures['losses'] < 1e-6
