"""The mesh, on the two CPU devices that every test has."""

import jax
import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.training import sharding
from lpips_jax.training.placing import placed, windows_of


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


def test_windows_find_their_clips_on_their_own_device():
  rng = np.random.default_rng(0)
  clips, windows = (rng.uniform(size=(n, t, 2, 2, 3)).astype(np.float32) for n, t in ((4, 9), (8, 5)))
  starts = np.array([0, 4, 2, 3, 1, 1, 4, 0], np.int32)  # two of each clip

  def both(clips, windows, starts):
    return placed(clips, windows, starts), windows_of(clips.reshape(4, 9, 12), starts)

  mesh = sharding.make_mesh(4)
  given = sharding.put_batch({'clips': clips, 'windows': windows, 'starts': starts}, mesh)
  along = sharding.along_batch(mesh)
  program = jax.jit(both, in_shardings=(along,) * 3, out_shardings=along).lower(*given.values()).compile()
  for ours, theirs in zip(program(*given.values()), both(clips, windows, starts), strict=True):
    np.testing.assert_array_equal(ours, theirs)
  assert mesh.devices.size == 2 and 'all-' not in program.as_text()
