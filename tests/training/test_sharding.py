"""The mesh, on the two CPU devices that every test has."""

import jax
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.training import sharding


@pytest.mark.parametrize('batch_size, used', [(4, 2), (3, 1), (1, 1)])
def test_a_batch_too_small_for_all_devices_uses_some(batch_size, used):
  assert sharding.make_mesh(batch_size).devices.size == used


def test_on_several_hosts_every_device_is_needed(monkeypatch):
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  assert sharding.make_mesh(4).devices.size == 2
  with pytest.raises(UserError, match='batch_size=3 does not divide among 2 devices'):
    sharding.make_mesh(3)
  with pytest.raises(UserError, match='batch_size=6 in 2 parts does not divide among 2 devices'):
    sharding.make_mesh(6, parts=2)
