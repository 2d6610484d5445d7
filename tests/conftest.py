"""Two CPU devices for every test, and a checkpoint that has trained for a few steps on a few seconds of faces."""

import importlib.util
import os
import tempfile
from pathlib import Path

# Programs compiled by one test serve the next, and the commands that tests start.
compiled = tempfile.TemporaryDirectory()
os.environ |= {
  'JAX_NUM_CPU_DEVICES': '2',
  'JAX_COMPILATION_CACHE_DIR': compiled.name,
  'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.3',
  'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
}

import pytest
from absl import flags
from ml_collections import ConfigDict

ROOT = Path(__file__).parents[1]
flags.FLAGS.mark_as_parsed()  # Grain's workers read absl's flags


def tiny_config(task: str, directory: Path) -> ConfigDict:
  """The quickstart config, shrunk until two steps of it are a matter of seconds."""
  path = ROOT / 'configs' / 'quickstart.py'
  spec = importlib.util.spec_from_file_location('quickstart', path)
  quickstart = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(quickstart)
  config = quickstart.get_config(task)
  config.data.update(name='talking_faces/tiny', data_dir=str(directory / 'data'), batch_size=2, eval_batches=1)
  config.model.update(image_size=32, audio_widths=(4, 4, 8, 8, 8), audio_residuals=(0, 0, 0, 0))
  if task == 'sync_expert':
    config.model.update(face_widths=(4, 4, 4, 8, 8, 8, 8), face_residuals=(0, 0, 0, 0, 0))
    config.data.windows = 3
    config.diagnosis_clips = 2
  else:
    config.model.widths = (4, 8)
    config.discriminator.update(image_size=32, widths=(2, 4, 4, 4, 4, 4, 4))
    config.perceptual.width = 1 / 16
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
