"""Two processes of two devices take the steps of one device; benchmarks/quality/devices.py compares more."""

import pytest

from benchmarks.quality import devices

LIMITS = {'lip_reader': 1e-5, 'reading': 1e-5}  # of networks that are not float64 throughout


@pytest.mark.slow
def test_gradients_and_losses_are_those_of_one_device(directory, monkeypatch):
  monkeypatch.setattr(devices, 'LAYOUTS', {'two of two': (2, 2)})
  tasks = ['sync_expert', 'lip_reader', 'av_expert', 'reading']
  found = devices.compare(devices.Trained(str(directory / 'data'), {'float64': 2}, tasks))['two of two']
  for task, figures in found.items():
    assert figures['float64'] < LIMITS.get(task, 1e-6), task
    assert figures['losses'] < LIMITS.get(task, 1e-6), task
