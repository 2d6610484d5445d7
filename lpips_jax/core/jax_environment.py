"""Environment variables that JAX reads when it is imported."""

import os

from lpips_jax.core.files import user_cache


def keep_compiled_programs() -> None:
  """Has JAX keep what it compiles, for the next start; to be called before JAX is imported. Who has set it, decides."""
  os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(user_cache() / 'programs'))
  os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.2')


def share_accelerators() -> None:
  """Has JAX take of a GPU what it needs, for by default the first process takes most of it; to be called as above."""
  os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
