"""Two processes of two devices take the steps of one device; benchmarks/devices.py compares more, for longer."""

from benchmarks import devices


def test_gradients_and_losses_are_those_of_one_device(directory, monkeypatch):
  monkeypatch.setattr(devices, 'LAYOUTS', {'two of two': (2, 2)})
  found = devices.compare(2, str(directory / 'data'), tasks=['sync_expert'])['two of two']['sync_expert']
  assert found['float64'] < 1e-6
  assert found['float32'] < 1e-4
  assert found['losses'] < 1e-6
