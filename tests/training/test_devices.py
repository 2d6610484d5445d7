"""Several devices and several processes take the steps of one; what it takes full size is benchmarks/devices.py."""

from benchmarks import devices


def test_gradients_and_losses_are_those_of_one_device(directory):
  figures = devices.compare(2, str(directory / 'data'), tasks=['sync_expert'])
  assert set(figures) == {'8 devices', '2 processes x 4 devices'}
  for layout, found in figures.items():
    assert found['sync_expert']['float64'] < 1e-6, layout
    assert found['sync_expert']['float32'] < 1e-4, layout
    assert found['sync_expert']['losses'] < 1e-6, layout
