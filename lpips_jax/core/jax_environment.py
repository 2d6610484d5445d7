"""Environment variables that JAX reads when it is imported."""

import os

from lpips_jax.core.files import user_cache


def keep_compiled_programs() -> None:
  """Lets JAX keep compiled programs for the next start; call it before importing JAX. Respects existing settings."""
  os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(user_cache() / 'programs'))
  os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.2')


def share_accelerators() -> None:
  """Lets JAX take only the GPU memory that it needs, by default most of it; call it before importing JAX."""
  os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
