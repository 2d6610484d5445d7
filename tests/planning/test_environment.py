"""The environment for absent devices keeps what is set already."""

import os

from lpips_jax.planning import environment


def test_settings_of_the_user_are_kept(monkeypatch):
  monkeypatch.setattr(os, 'environ', {'TPU_LOG_DIR': '/logs', 'XLA_FLAGS': '--mine'})
  environment.set_for_absent_devices()
  assert os.environ['TPU_LOG_DIR'] == '/logs' and os.environ['JAX_PLATFORMS'] == 'cpu'
  assert os.environ['XLA_FLAGS'] == '--mine --xla_gpu_autotune_level=0'
