"""The plan of a training step: for the two CPU devices that every test has, and for a TPU that is not there."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from ml_collections import ConfigDict
from runs import ROOT, tiny_config

from lpips_jax import models
from lpips_jax.models.initialise import init_variables
from lpips_jax.planning import estimates, topologies
from lpips_jax.training import step_program

COMPILER = Path(sys.prefix) / 'tpu'  # where `make test` puts libtpu
HAS_COMPILER = COMPILER.is_dir() or importlib.util.find_spec('libtpu') is not None


def plan(*arguments, **environment):
  command = [sys.executable, '-m', 'lpips_jax.training.plan', *arguments]
  return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | environment)


def count(config):
  return sum(x.size for x in jax.tree.leaves(init_variables(models.build(config), config, 0)['params']))


@pytest.fixture(scope='module')
def config(directory):
  """A generator with an adversary, and a batch for two devices."""
  config = tiny_config('generator', directory)
  config.losses.update(adversarial=0.1, perceptual=0.0)
  config.discriminator.widths = (4, 4, 4, 4, 4, 4, 4)
  return config


@pytest.fixture(scope='module')
def figures(config):
  mesh = topologies.mesh_of('local')
  return estimates.estimate_step(
    config,
    mesh,
    step_program.compile_step(config, mesh),
    step_program.parameters(config),
    step_program.count_flops(config),
  ) | {
    'topology': 'local',
    'level': 'default',
  }


def test_parameters_are_those_of_the_networks(config, figures, directory):
  expert = tiny_config('sync_expert', directory).model
  generator, discriminator = count(config.model), count(config.discriminator)
  found = figures['parameters']
  assert found['generator'] == generator and found['discriminator'] == discriminator
  assert found['trained'] == generator + discriminator
  assert found['frozen sync_expert'] == count(expert)


def test_the_plan_of_this_machine(figures):
  assert figures['chips'] == 2 and figures['batch_per_chip'] == 1
  assert figures['all_reduces'] >= 1
  # Every gradient is summed over the devices; on a CPU in float32.
  assert figures['all_reduce_bytes'] >= 4 * figures['parameters']['trained']
  assert figures['flops_per_step'] > figures['flops_per_chip'] > 0
  assert 1 <= figures['serial_small_collectives'] <= sum(x['number'] for x in figures['collectives'].values())
  assert figures['floor'] is None and figures['chip_memory_bytes'] is None  # of a CPU no data sheet
  table = estimates.table(figures)
  assert 'not known: no data sheet of cpu' in table and f'{figures["parameters"]["trained"]:,}' in table


def test_shapes_of_the_batch_are_those_of_the_data(directory):
  from data_pipeline import input as data

  for task in ('sync_expert', 'generator'):
    config = tiny_config(task, directory)
    batch = next(data.train_batches(config))
    shapes = step_program.batch_shapes(config)
    assert {name: (x.shape, x.dtype) for name, x in shapes.items()} == {
      name: (batch[name].shape, batch[name].dtype) for name in shapes
    }


def test_parts_of_a_batch_all_count(config, figures):
  parts = ConfigDict(config.to_dict())
  parts.update(accumulate=2, remat=True)
  assert step_program.count_flops(parts) == figures['flops_per_step']


@pytest.mark.parametrize(
  'flag, message',
  [
    ('--output=nowhere/plan.json', 'nowhere/plan.json: there is no such directory'),
    (
      '--config.data.batch_size=3',
      'config.data.batch_size=3 does not divide among 2 devices: give --config.data.batch_size=4 or --batch_per_chip=2',
    ),
    (
      '--config.model.name=other',
      "config.model.name='other': there are sync_expert",
    ),
  ],
)
def test_what_cannot_be_planned(flag, message):
  failed = plan('--config=configs/quickstart.py:sync_expert', flag)
  assert (failed.returncode, failed.stdout, failed.stderr) == (2, '', f'plan.py: {message}\n')


@pytest.mark.skipif(not HAS_COMPILER, reason="no libtpu: pip install -e '.[tpu]'")
def test_tpus_that_are_not_there(directory, tmp_path):
  """The method with fewer channels, without VGG16 and the adversary."""
  output = tmp_path / 'plan.json'
  tiny = tiny_config('generator', directory)
  values = {
    'sync_expert': tiny.sync_expert,
    'losses.perceptual': 0.0,
    'model.image_size': 32,
    'model.widths': tiny.model.widths,
    'model.audio_widths': tiny.model.audio_widths,
    'model.audio_residuals': tiny.model.audio_residuals,
    'model.blocks': 1,
    'model.bottleneck': 1,
  }
  shrunk = [f'--config.{name}={value}' for name, value in values.items()]
  cheap = ['--batch_per_chip=1', '--level=O0', '--nolargest', f'--output={output}']
  made = plan('--config=configs/lrs2.py', '--topology=v5e:4x4', *shrunk, *cheap, PYTHONPATH=str(COMPILER))
  assert made.returncode == 0, made.stderr
  figures = json.loads(output.read_text())
  assert figures['topology'] == 'v5e:4x4' and figures['chips'] == 16 and figures['batch_size'] == 16
  assert figures['all_reduces'] >= 1 and figures['all_reduce_bytes'] >= 4 * figures['parameters']['trained']
  assert figures['large_all_reduces']['number'] <= 4  # of gradients
  assert 0 < figures['peak_bytes_per_chip'] < figures['chip_memory_bytes']
  assert figures['floor']['binds'] in figures['floor']
  assert 'TPU v5 lite' in made.stdout
