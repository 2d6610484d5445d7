"""Two CPU devices for every test, and a checkpoint that has trained for a few steps on a few seconds of faces."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

signal.signal(signal.SIGINT, signal.default_int_handler)  # tests press Ctrl-C, which the background ignores
# Programs compiled by one test serve the next, the commands that tests start, and the other processes of pytest-xdist.
compiled = tempfile.TemporaryDirectory()
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', compiled.name)
# Machine code that is made fast and runs slowly; XLA's own passes, which decide what is computed, are all there.
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true')
os.environ |= {
  'JAX_NUM_CPU_DEVICES': '2',
  'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.3',
  'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
}

import pytest
from absl import flags
from hypothesis import settings
from networks import random_network
from runs import run, tiny_config

from benchmarks import buckets
from benchmarks.buckets import Bucket
from lpips_jax import pretrained

settings.register_profile('same', derandomize=True, deadline=None, max_examples=50)
settings.load_profile('same')
flags.FLAGS.mark_as_parsed()  # Grain's workers read absl's flags


@pytest.fixture(scope='session')
def directory(tmp_path_factory) -> Path:
  """Holds `data` and a trained `sync_expert`."""
  directory = tmp_path_factory.mktemp('runs')
  run(tiny_config('sync_expert', directory), directory / 'sync_expert')
  return directory


@pytest.fixture(scope='session')
def teachers(directory) -> Path:
  """The same directory, in which there are also a `lip_reader` and an `av_expert`, untrained: they teach generators."""
  for name in ('lip_reader', 'av_expert'):
    pretrained.save(directory / name / 'checkpoint', random_network(name))
  return directory


@pytest.fixture(scope='session')
def trained_checkpoint(directory) -> Path:
  """A generator's checkpoint directory."""
  run(tiny_config('generator', directory), directory / 'generator')
  return directory / 'generator' / 'checkpoint'


@pytest.fixture(scope='session')
def served_gs() -> Iterator[Bucket]:
  pytest.importorskip('gcp_storage_emulator')
  with buckets.bucket('gs') as served:
    yield served


@pytest.fixture(scope='session')
def served_s3() -> Iterator[Bucket]:
  pytest.importorskip('moto')
  with buckets.bucket('s3') as served:
    yield served


@pytest.fixture
def gs_bucket(served_gs, tmp_path, monkeypatch) -> Bucket:
  """A directory of a Google Cloud Storage bucket on loopback, new for each test; this process's clients find it."""
  return served_gs.for_test(tmp_path, monkeypatch)


@pytest.fixture
def s3_bucket(served_s3, tmp_path, monkeypatch) -> Bucket:
  """As `gs_bucket`, of S3."""
  return served_s3.for_test(tmp_path, monkeypatch)
