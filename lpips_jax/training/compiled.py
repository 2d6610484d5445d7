"""Compiled programs of a run, kept for its next start: JAX's persistent cache in the run's directory."""

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

MAX_BYTES = 1 << 30  # of all programs; those that were not used for longest go first
# Programs that take longer to compile are kept. JAX's own 1 s leaves out many that a start needs.
MIN_SECONDS = 0.2


@contextlib.contextmanager
def programs_kept(directory: Path) -> Iterator[None]:
  """Keeps the programs that are compiled in the body in `directory`, and takes them from there at the next start.

  A cache that the user's environment names (JAX_COMPILATION_CACHE_DIR), or one of this process, is used instead.
  """
  config: Any = jax.config  # whose settings JAX's types leave out
  if config.jax_compilation_cache_dir is not None:
    yield
    return
  place = directory / _machine()
  if jax.process_index() == 0:
    _drop_unfinished(place)
  settings = {
    'jax_compilation_cache_dir': str(place.absolute()),
    'jax_compilation_cache_max_size': MAX_BYTES,
    'jax_persistent_cache_min_compile_time_secs': MIN_SECONDS,
  }
  ours = {name: value for name, value in settings.items() if name.upper() not in os.environ}
  before = {name: getattr(config, name) for name in ours}
  _configure(ours)
  try:
    yield
  finally:
    _configure(before)


def _machine() -> str:
  """A name for this kind of processor: machine code for another may end the process. JAX tells accelerators apart."""
  if jax.default_backend() != 'cpu':
    return ''
  text = Path('/proc/cpuinfo').read_text() if os.path.exists('/proc/cpuinfo') else ''
  instructions = next((line for line in text.splitlines() if line.startswith(('flags', 'Features'))), '')
  return f'cpu_{zlib.crc32(instructions.encode()):08x}'


def _configure(settings: dict[str, object]) -> None:
  for name, value in settings.items():
    jax.config.update(name, value)
  compilation_cache.reset_cache()  # it is opened again, in the new place, when a program is next compiled


def _drop_unfinished(directory: Path) -> None:
  """Deletes programs without a time of their last use, which JAX writes after them: it was killed in between.

  JAX would take what there is of them for a program, and could delete no other to make room.
  """
  for program in directory.glob('*-cache'):
    if not program.with_name(program.name.removesuffix('-cache') + '-atime').exists():
      program.unlink(missing_ok=True)
