"""Settings for JAX are defaults: what the user has set stays."""

import os

import pytest

from lpips_jax.core.jax_environment import keep_compiled_programs, share_accelerators


@pytest.mark.parametrize(
  ('setting', 'call', 'default'),
  [
    ('JAX_COMPILATION_CACHE_DIR', keep_compiled_programs, 'CACHE/lpips_jax/programs'),
    ('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', keep_compiled_programs, '0.2'),
    ('XLA_PYTHON_CLIENT_PREALLOCATE', share_accelerators, 'false'),
  ],
)
def test_an_existing_setting_stays(monkeypatch, tmp_path, setting, call, default):
  monkeypatch.setattr(os, 'environ', {'XDG_CACHE_HOME': str(tmp_path)})
  call()
  assert os.environ[setting] == default.replace('CACHE', str(tmp_path))
  os.environ[setting] = 'mine'
  call()
  assert os.environ[setting] == 'mine'
