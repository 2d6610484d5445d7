"""A checkpoint directory is found from its steps and its run, and its steps are chosen by name or by quality."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax.core.errors import UserError
from lpips_jax.pretrained import checkpoint_dir

CONFIG = ConfigDict({'task': 'generator', 'model': {'name': 'attn_wav2lip', 'widths': (4, 8)}})


def variables(step):
  return {'params': {'layer': {'kernel': np.full((2, 3), step, np.float32)}}}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A run whose checkpoint directory holds steps 2 and 10, neither of them evaluated."""
  run = tmp_path_factory.mktemp('run')
  for step in (2, 10):
    checkpoint_dir.write(run / 'checkpoint', CONFIG, variables(step), step)
  return run


@pytest.mark.parametrize(
  ('asked', 'wanted'), [('', ''), ('checkpoint', ''), ('checkpoint/2', '2'), ('checkpoint/best', 'best')]
)
def test_it_is_found_from_the_run_and_from_a_step(asked, wanted, run):
  assert checkpoint_dir.find_step(run / asked) == (run / 'checkpoint', wanted)
  assert checkpoint_dir.find(str(run / asked)) == run / 'checkpoint'


def test_what_is_no_checkpoint_directory_is_named(run, tmp_path):
  with pytest.raises(UserError, match='nowhere does not exist: give the directory that train'):
    checkpoint_dir.find(tmp_path / 'nowhere')
  with pytest.raises(UserError, match='is not a checkpoint directory: give the directory that train'):
    checkpoint_dir.find(tmp_path)
  (tmp_path / 'model.safetensors').touch()
  for exported in (tmp_path, tmp_path / 'model.safetensors'):
    with pytest.raises(UserError, match=r'is not a checkpoint directory: .*lpips_jax\.interop\.convert'):
      checkpoint_dir.find(exported)


def test_a_directory_without_a_step_holds_none(tmp_path, run):
  (tmp_path / 'config.json').write_text('{}')
  assert not checkpoint_dir.has_steps(tmp_path) and checkpoint_dir.has_steps(run / 'checkpoint')
  with pytest.raises(UserError, match='is not a checkpoint directory'):
    checkpoint_dir.find(tmp_path)


def test_only_stablehlo_is_a_program(tmp_path, run):
  assert not checkpoint_dir.is_exported(run / 'checkpoint') and not checkpoint_dir.is_exported(tmp_path / 'nowhere')
  (tmp_path / 'model.stablehlo').touch()
  assert checkpoint_dir.is_exported(tmp_path)


def test_the_config_comes_back_with_lists_for_tuples(run):
  config = checkpoint_dir.read_config(run / 'checkpoint')
  assert config.task == 'generator' and config.model.widths == [4, 8]


@pytest.mark.parametrize('content', ['', '[]', '{"task": '])
def test_a_damaged_config_is_named(content, tmp_path):
  (tmp_path / 'config.json').write_text(content)
  with pytest.raises(UserError, match=r'config\.json cannot be read .*: restore a copy of it'):
    checkpoint_dir.read_config(tmp_path)


@pytest.mark.parametrize(('wanted', 'step'), [('', 10), ('2', 2), ('10', 10)])
def test_the_newest_step_is_read_unless_another_is_wanted(wanted, step, run):
  found, number = checkpoint_dir.read_variables(run / 'checkpoint', wanted)
  assert number == step
  np.testing.assert_array_equal(found['params']['layer']['kernel'], variables(step)['params']['layer']['kernel'])


def test_without_an_evaluation_there_is_no_best_step(run):
  assert checkpoint_dir.read_variables(run / 'checkpoint', '', prefer_best=True)[1] == 10
  with pytest.raises(UserError, match='has no step best; there are 2, 10'):
    checkpoint_dir.read_variables(run / 'checkpoint', 'best')
  with pytest.raises(UserError, match='has no step 3; there are 2, 10'):
    checkpoint_dir.read_variables(run / 'checkpoint', '3')


def test_a_run_that_has_finished_no_step_is_named(tmp_path):
  with pytest.raises(UserError, match='holds no finished step yet: train further, or give another checkpoint'):
    checkpoint_dir.read_variables(tmp_path, '')


def saved(step, **metrics):
  return SimpleNamespace(step=step, metrics=metrics)


def test_ranking_decides_before_loss_and_what_is_not_finite_does_not_count():
  generators = [saved(1, loss=0.5), saved(2, loss=0.3), saved(3), saved(4, loss=math.nan)]
  assert checkpoint_dir.best_first(generators) == [2, 1]
  experts = [saved(1, loss=0.3, ranking=0.8), saved(2, loss=0.6, ranking=0.9), saved(3, loss=0.5, ranking=0.9)]
  assert checkpoint_dir.best_first(experts) == [3, 2, 1]
