"""A network on both devices of every test computes what it computes on one."""

import jax
import numpy as np
import pytest
from networks import random_network

from lpips_jax.pretrained import batches
from lpips_jax.pretrained.devices import batch_sharding, on_all_devices


@pytest.fixture(scope='module')
def generator():
  return random_network('generator')


def test_two_devices_compute_what_one_computes(generator):
  faces = np.random.default_rng(0).random((60, 32, 32, 6), np.float32)
  mels = np.zeros((60, 80, 16), np.float32)
  spread = on_all_devices(generator)
  assert batch_sharding(generator) is None and batch_sharding(spread).mesh.size == jax.local_device_count() == 2
  one_device, two_devices = (batches.in_batches(network, faces, mels) for network in (generator, spread))
  np.testing.assert_allclose(two_devices, one_device, atol=1e-5)
  assert spread.fingerprint == generator.fingerprint


def test_other_functions_stay_as_they_are():
  assert on_all_devices(np.sin) is np.sin and batch_sharding(np.sin) is None and on_all_devices(None) is None
