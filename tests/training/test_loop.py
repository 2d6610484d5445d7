"""The training loop: nothing is lost when it is cut short, and nothing is mixed up when it goes on."""

import json
import shutil

import jax
import numpy as np
import pytest
from conftest import run, tiny_config

from data_pipeline import input as data
from lpips_jax import models, pretrained
from lpips_jax.cli import UserError
from lpips_jax.training.logs import RunLog
from lpips_jax.training.loop import train
from lpips_jax.training.state import TrainState, init_variables


class PowerCut(Exception):
  pass


def cut_after(monkeypatch, steps):
  """Ends the training loop after some steps, as a power cut would."""
  advance = RunLog.advance
  made = []

  def cut(log):
    advance(log)
    made.append(1)
    if len(made) == steps:
      raise PowerCut

  monkeypatch.setattr(RunLog, 'advance', cut)


@pytest.mark.parametrize('task', ['sync_expert', 'generator'])
def test_interrupted_and_resumed_is_bit_for_bit_uninterrupted(task, directory, tmp_path, monkeypatch):
  config = tiny_config(task, directory)
  config.update(steps=4, checkpoint_every=2, eval_every=1)
  if task == 'generator':
    config.losses.sync_gate = 1e9  # opens at the first evaluation: the gate has to survive, too
  whole = run(config, tmp_path / 'whole')
  with monkeypatch.context() as patch, pytest.raises(PowerCut):
    cut_after(patch, 3)
    run(config, tmp_path / 'cut')
  resumed = run(config, tmp_path / 'cut')

  assert int(resumed.step) == 4
  assert bool(resumed.sync_open) == (task == 'generator')
  for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
    np.testing.assert_array_equal(a, b)
  lines = [json.loads(line) for line in (tmp_path / 'cut' / 'metrics.jsonl').read_text().splitlines()]
  assert [line['step'] for line in lines if line['kind'] == 'train'] == [1, 2, 3, 4]


def test_training_moves_every_parameter(directory, tmp_path):
  config = tiny_config('generator', directory)
  config.update(eval_every=1, steps=3)
  config.losses.sync_gate = 1e9
  moved = run(config, tmp_path / 'three').variables['params']
  start = init_variables(models.build(config.model), config.model, config.seed)['params']
  still = [
    jax.tree_util.keystr(path)
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(start), jax.tree.leaves(moved), strict=True)
    if np.array_equal(a, b)
  ]
  # A bias before BatchNorm has no effect, so no gradient but rounding.
  assert not [name for name in still if 'bias' not in name], still


def test_checkpoint_stands_alone(trained_checkpoint, directory, tmp_path):
  generator = pretrained.load(trained_checkpoint)
  assert generator.step == 2 and generator.config.task == 'generator'
  faces = np.random.default_rng(0).random((2, 32, 32, 6), np.float32)
  out = np.asarray(generator(faces, np.zeros((2, 80, 16), np.float32)))
  assert out.shape == (2, 32, 32, 3) and 0 <= out.min() <= out.max() <= 1
  expert = pretrained.load(trained_checkpoint / 'sync_expert')
  original = pretrained.load(directory / 'sync_expert')  # a run, too, may be given
  for a, b in zip(jax.tree.leaves(expert.variables), jax.tree.leaves(original.variables), strict=True):
    np.testing.assert_array_equal(a, b)


def test_average_is_what_is_loaded(directory, tmp_path):
  config = tiny_config('sync_expert', directory)
  state = run(config, tmp_path / 'run')
  loaded = pretrained.load(tmp_path / 'run').variables
  for a, b in zip(jax.tree.leaves(state.average), jax.tree.leaves(loaded), strict=True):
    np.testing.assert_array_equal(a, b)
  differs = [
    not np.array_equal(a, b)
    for a, b in zip(jax.tree.leaves(state.average), jax.tree.leaves(state.variables), strict=True)
  ]
  assert any(differs)
  assert isinstance(state, TrainState)


def test_another_config_is_refused(trained_checkpoint, directory):
  config = tiny_config('generator', directory)
  config.optimizer.learning_rate = 0.5
  with pytest.raises(UserError, match=r'optimizer\.learning_rate: 0\.003 -> 0\.5'):
    run(config, trained_checkpoint.parent)


def test_generator_needs_an_expert(directory, tmp_path):
  config = tiny_config('generator', directory)
  config.sync_expert = ''
  with pytest.raises(UserError, match='needs a trained sync expert'):
    run(config, tmp_path / 'run')


def test_a_generator_is_no_expert_and_is_not_kept(trained_checkpoint, directory, tmp_path):
  config = tiny_config('generator', directory)
  config.sync_expert = str(trained_checkpoint)
  with pytest.raises(UserError, match='holds a generator, not a sync_expert'):
    run(config, tmp_path / 'run')
  assert not (tmp_path / 'run' / 'checkpoint' / 'sync_expert').exists()


def test_an_attempt_that_saved_nothing_is_not_in_the_way(trained_checkpoint, directory, tmp_path):
  config = tiny_config('generator', directory)
  with pytest.raises(RuntimeError, match='no data'):
    train(config, tmp_path / 'run', no_data)
  config.optimizer.learning_rate = 0.5
  config.sync_expert = str(trained_checkpoint)
  with pytest.raises(UserError, match='holds a generator, not a sync_expert'):
    train(config, tmp_path / 'run', no_data)
  config.sync_expert = ''  # the expert that the first attempt kept is still there
  with pytest.raises(RuntimeError, match='no data'):
    train(config, tmp_path / 'run', no_data)


def no_data(config):
  raise RuntimeError('no data')


@pytest.mark.parametrize(
  'values',
  [
    {'data.batch_size': 0},
    {'log_every': 0},
    {'steps': -5},
    {'data.workers': -1},
    {'model.image_size': 41},
    {'model.fusion': 'adian'},
  ],
)
def test_impossible_values_leave_nothing(values, directory, tmp_path):
  config = tiny_config('generator', directory)
  config.update_from_flattened_dict(values)
  with pytest.raises(UserError, match=f'config.{next(iter(values))}='):
    train(config, tmp_path / 'run', no_data)
  assert not (tmp_path / 'run').exists()


def test_a_damaged_checkpoint_is_named(trained_checkpoint, tmp_path):
  for name, damage in {
    'no_weights': lambda copy: shutil.rmtree(copy / '2' / 'model'),
    'no_model': lambda copy: (copy / 'config.json').write_text('{}'),
    'no_config': lambda copy: (copy / 'config.json').write_text('[]'),
  }.items():
    copy = tmp_path / name
    shutil.copytree(trained_checkpoint, copy)
    damage(copy)
    with pytest.raises(UserError, match=f'{name}.*(damaged or incomplete|cannot be read)'):
      pretrained.load(copy)


def test_non_finite_loss_stops_before_it_is_saved(directory, tmp_path):
  config = tiny_config('sync_expert', directory)
  batches = data.train_batches(config)
  batch = next(batches)
  poisoned = batch | {'mel': np.full_like(batch['mel'], np.nan)}
  with pytest.raises(FloatingPointError, match='not finite at step 1'):
    run(config, tmp_path / 'run', iter([poisoned]))
  with pytest.raises(UserError):
    pretrained.load(tmp_path / 'run')


def test_sample_pictures_are_left(trained_checkpoint):
  assert (trained_checkpoint.parent / 'samples' / '0000002.png').stat().st_size > 0
  assert list((trained_checkpoint.parent / 'tensorboard').iterdir())
