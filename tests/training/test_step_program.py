"""The training step as a program, compiled for the two CPU devices that every test has: its shapes and its figures."""

import jax
import pytest
from ml_collections import ConfigDict
from runs import tiny_config

from benchmarks.tiny import TINY_OVERRIDES
from data_pipeline import input as data
from lpips_jax import models
from lpips_jax.models.initialise import init_variables
from lpips_jax.planning import estimates, topologies
from lpips_jax.training import step_program, tasks


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


def test_the_step_is_compiled_for_the_devices_of_this_machine(figures):
  assert figures['chips'] == 2 and figures['batch_per_chip'] == 1
  assert figures['all_reduces'] >= 1
  # Every gradient is summed over the devices; on a CPU in float32.
  assert figures['all_reduce_bytes'] >= 4 * figures['parameters']['trained']
  assert figures['flops_per_step'] > figures['flops_per_chip'] > 0
  assert 1 <= figures['serial_small_collectives'] <= sum(x['number'] for x in figures['collectives'].values())
  assert figures['floor'] is None and figures['chip_memory_bytes'] is None  # of a CPU no data sheet
  table = estimates.table(figures)
  assert 'not known: no data sheet of cpu' in table and f'{figures["parameters"]["trained"]:,}' in table


@pytest.mark.parametrize(
  ('name', 'windows'), [*((name, None) for name in TINY_OVERRIDES), ('generator', 2), ('reading', 2), ('av_sync', 2)]
)
def test_shapes_of_the_batch_are_those_of_the_data(name, windows, directory):
  config = tiny_config(name, directory)
  if windows:
    config.data.update(windows=windows, batch_size=2 * windows)
  batch = next(data.train_batches(config))
  assert config.task == 'sync_expert' or {*tasks.batch_shapes(config)} == {*batch} - {'id', 'skipped'}
  assert {name: (x.shape, x.dtype) for name, x in tasks.batch_shapes(config).items()} == {
    name: (batch[name].shape, batch[name].dtype) for name in tasks.batch_shapes(config)
  }


def test_a_batch_with_whole_clips_is_divided_by_these(directory):
  parts = {}
  for name in 'generator', 'reading':
    config = tiny_config(name, directory)
    config.data.update(windows=2, batch_size=8)
    parts[name] = step_program.clips_of_batch(config)
  assert parts == {'generator': 8, 'reading': 4}


def test_micro_batches_all_count_and_nothing_that_is_recomputed(config, figures):
  parts = ConfigDict(config.to_dict())
  parts.update(accumulate=2, remat=True)
  assert step_program.count_flops(parts) == figures['flops_per_step']
