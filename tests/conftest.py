"""Two CPU devices for every test, and a checkpoint that has trained for a few steps on a few seconds of faces."""

import os
import signal
import tempfile
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
from ml_collections import ConfigDict

from benchmarks import commands
from configs import quickstart

ROOT = Path(__file__).parents[1]
settings.register_profile('same', derandomize=True, deadline=None, max_examples=50)
settings.load_profile('same')
flags.FLAGS.mark_as_parsed()  # Grain's workers read absl's flags


def tiny_config(task: str, directory: Path) -> ConfigDict:
  """The quickstart config, shrunk until two steps of it are a matter of seconds."""
  config = quickstart.get_config(task)
  config.update_from_flattened_dict(commands.TINY[task])
  config.data.update(data_dir=str(directory / 'data'), batch_size=2)
  if task == 'generator':
    config.sync_expert = str(directory / 'sync_expert' / 'checkpoint')
  config.optimizer.update(warmup_steps=1, cosine=False)  # a run of any length is then one and the same program
  config.update(steps=2, log_every=1, eval_every=2, checkpoint_every=2)
  return config


def run(config: ConfigDict, workdir: Path, batches=None):
  from data_pipeline import input as data
  from lpips_jax.training.loop import TrainData, train

  def open_data(config: ConfigDict) -> TrainData:
    return TrainData(batches or data.train_batches(config), data.eval_batches(config), data.clips_to_watch(config))

  return train(config, workdir, open_data)


class PowerCut(Exception):
  pass


def cut_after(monkeypatch, steps):
  """Ends the training loop after some steps, as a power cut would."""
  from lpips_jax.training.logs import RunLog

  advance = RunLog.advance
  made = []

  def cut(log):
    advance(log)
    made.append(1)
    if len(made) == steps:
      raise PowerCut

  monkeypatch.setattr(RunLog, 'advance', cut)


@pytest.fixture(scope='session')
def directory(tmp_path_factory) -> Path:
  """Holds `data` and a trained `sync_expert`."""
  directory = tmp_path_factory.mktemp('runs')
  run(tiny_config('sync_expert', directory), directory / 'sync_expert')
  return directory


@pytest.fixture(scope='session')
def trained_checkpoint(directory) -> Path:
  """A generator's checkpoint directory."""
  run(tiny_config('generator', directory), directory / 'generator')
  return directory / 'generator' / 'checkpoint'
