"""Compiled programs kept by a run: found again at its next start, bounded, and no different from compiled anew."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache
from runs import ROOT

from lpips_jax.training import compiled
from lpips_jax.training.compiled import programs_kept

RUN = """
import sys
from pathlib import Path
from absl import flags
import numpy as np, jax
from runs import run, tiny_config

if __name__ == '__main__':
  flags.FLAGS.mark_as_parsed()
  heard = []
  jax.monitoring.register_event_listener(lambda name, **_: heard.append(name))
  config = tiny_config('sync_expert', Path(sys.argv[1]))
  config.update(steps=int(sys.argv[3]))
  state = run(config, Path(sys.argv[2]))
  np.savez(sys.argv[4], *jax.tree.leaves(state))
  print('found', heard.count('/jax/compilation_cache/cache_hits'))
"""


@pytest.fixture
def no_cache(monkeypatch):
  """Takes away the cache that all tests share."""
  before = jax.config.jax_compilation_cache_dir
  jax.config.update('jax_compilation_cache_dir', None)
  compilation_cache.reset_cache()
  monkeypatch.setattr(compiled, 'MIN_SECONDS', 0.0)
  for name in 'JAX_COMPILATION_CACHE_DIR', 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS':
    monkeypatch.delenv(name)
  yield
  jax.config.update('jax_compilation_cache_dir', before)
  compilation_cache.reset_cache()


def compile_something(number):
  jax.jit(lambda x: x * number)(jnp.ones(3))


def programs(directory):
  return sorted(path.name for path in directory.rglob('*-cache'))


def test_programs_are_kept_during_the_body_alone(no_cache, tmp_path):
  before = jax.config.jax_persistent_cache_min_compile_time_secs
  with programs_kept(tmp_path / 'compiled'):
    compile_something(2)
  kept = programs(tmp_path / 'compiled')
  assert kept
  assert jax.config.jax_compilation_cache_dir is None
  assert jax.config.jax_persistent_cache_min_compile_time_secs == before
  compile_something(3)
  assert programs(tmp_path / 'compiled') == kept


def test_old_programs_make_room(no_cache, tmp_path, monkeypatch):
  with programs_kept(tmp_path):
    compile_something(2)
  size = sum(path.stat().st_size for path in tmp_path.rglob('*-cache'))
  monkeypatch.setattr(compiled, 'MAX_BYTES', 3 * size)
  with programs_kept(tmp_path):
    for number in range(3, 12):
      compile_something(number)
  assert sum(path.stat().st_size for path in tmp_path.rglob('*-cache')) <= 3 * size


def test_a_program_cut_short_is_dropped(no_cache, tmp_path):
  with programs_kept(tmp_path):
    compile_something(2)
  program = next(tmp_path.rglob('*-cache'))
  program.write_bytes(program.read_bytes()[:10])
  program.with_name(program.name.removesuffix('-cache') + '-atime').unlink()  # JAX had not come as far as that
  with programs_kept(tmp_path):
    assert not program.exists()
    compile_something(2)


def test_a_cache_of_the_users_own_is_used_instead(tmp_path):
  with programs_kept(tmp_path / 'compiled'):
    compile_something(2)
  assert not (tmp_path / 'compiled').exists()


@pytest.mark.slow
def test_a_run_that_finds_its_programs_is_bit_for_bit_one_that_compiles_them(directory, tmp_path):
  script = tmp_path / 'script.py'
  script.write_text(RUN)
  environment = os.environ | {'PYTHONPATH': f'{ROOT}:{ROOT / "tests" / "support"}'}
  environment.pop('JAX_COMPILATION_CACHE_DIR')
  states, found = [], []
  for workdir, steps, options in (('kept', 2, {}), ('kept', 4, {}), ('anew', 4, {'JAX_ENABLE_COMPILATION_CACHE': '0'})):
    state = tmp_path / 'state.npz'
    line = [sys.executable, script, directory, tmp_path / workdir, str(steps), state]
    result = subprocess.run(line, capture_output=True, text=True, env=environment | options, timeout=600)
    assert result.returncode == 0 and not result.stderr, result.stderr
    found.append(int(result.stdout.split()[-1]))
    states.append(dict(np.load(state)))
  assert found[1] > 0 and found[2] == 0
  assert states[1].keys() == states[2].keys()
  for name, value in states[1].items():
    np.testing.assert_array_equal(value, states[2][name])
