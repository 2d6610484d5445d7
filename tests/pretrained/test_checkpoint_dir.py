"""A checkpoint directory is found from its steps and its run, and its steps are chosen by name or by quality."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

from lpips_jax.core.errors import UserError
from lpips_jax.pretrained import checkpoint_dir
from lpips_jax.storage import staging, stores, transfer

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


class Remote(NamedTuple):
  """A run in a bucket, as `working_copy` leaves one, and its directory on this machine."""

  local: Path
  url: str

  def copied(self):
    """The parts of steps that were copied to this machine, as STEP/PART."""
    copy = staging.place_of(self.url)
    return {path.relative_to(copy).as_posix() for path in copy.glob('checkpoint/**/[0-9]*/*') if path.is_dir()}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """A run of three steps, the best of which is the second, with an expert that it was trained with."""
  run = tmp_path_factory.mktemp('trained')
  save_steps(run / 'checkpoint', 'generator', {2: 0.5, 4: 0.25, 6: 0.75})
  save_steps(run / 'checkpoint' / 'sync_expert', 'sync_expert', {8: 0.5})
  (run / 'train_log.csv').write_text('much')
  return run


@pytest.fixture
def remote(trained, gs_bucket):
  transfer.upload(trained, f'{gs_bucket.url}/run')
  return Remote(trained, f'{gs_bucket.url}/run')


def save_steps(directory, task, losses):
  with ocp.training.Checkpointer(directory) as checkpointer:
    for step, loss in losses.items():
      parts = {'model': variables(step)}
      if step == max(losses):
        parts |= {'state': variables(0), 'data': variables(1)}
      checkpointer.save_checkpointables(step, parts, metrics={'loss': loss})
  (directory / 'config.json').write_text(ConfigDict({**CONFIG, 'task': task}).to_json())


def slow(*case):
  return pytest.param(*case, marks=pytest.mark.slow)


@pytest.mark.parametrize(
  ('asked', 'step'),
  [('/checkpoint/best', 4), slow('', 6), slow('/checkpoint', 6), slow('/checkpoint/', 6), slow('/checkpoint/2', 2)],
)
def test_of_a_remote_run_what_is_read_is_copied(asked, step, remote):
  directory, wanted = checkpoint_dir.find_step(f'{remote.url}{asked}')
  read, found = checkpoint_dir.read_variables(directory, wanted)
  assert found == step and read['params']['layer']['kernel'][0, 0] == step
  assert checkpoint_dir.read_config(directory) == checkpoint_dir.read_config(remote.local / 'checkpoint')
  expert = {f'checkpoint/sync_expert/8/{part}' for part in ('model', 'metrics')}
  assert remote.copied() == {f'checkpoint/{k}/metrics' for k in (2, 4, 6)} | {f'checkpoint/{step}/model'} | expert
  assert not (directory.parent / 'train_log.csv').exists()


@pytest.mark.slow
def test_of_a_remote_expert_the_best_step_is_copied(tmp_path, gs_bucket):
  save_steps(tmp_path / 'expert', 'sync_expert', {1: 0.25, 3: 0.5})
  transfer.upload(tmp_path / 'expert', f'{gs_bucket.url}/expert')
  directory, wanted = checkpoint_dir.find_step(f'{gs_bucket.url}/expert')
  assert checkpoint_dir.read_variables(directory, wanted, prefer_best=True)[1] == 1
  assert not (directory / '3' / 'model').exists()


@pytest.mark.slow
def test_what_a_remote_run_has_gained_is_copied_and_what_it_has_lost_is_deleted(remote, tmp_path, monkeypatch):
  checkpoint_dir.find_step(remote.url)
  copied = []

  def download(url, files, *rest):
    copied.extend(file.name for file in files)
    transfer.download(url, files, *rest)

  monkeypatch.setattr(staging, 'download', download)
  checkpoint_dir.find_step(remote.url)
  assert copied == []
  save_steps(tmp_path / 'later' / 'checkpoint', 'generator', {8: 0.5})
  transfer.upload(tmp_path / 'later', remote.url)
  for file in stores.files_below(f'{remote.url}/checkpoint/2'):
    stores.delete(f'{remote.url}/checkpoint/2/{file.name}')
  directory, _ = checkpoint_dir.find_step(remote.url)
  assert any(name.startswith('checkpoint/8/model/') for name in copied)
  assert not any(name.startswith(('checkpoint/4/', 'checkpoint/6/', 'checkpoint/sync_expert/')) for name in copied)
  assert checkpoint_dir.read_variables(directory, '')[1] == 8
  assert [saved.step for saved in checkpoint_dir.saved_steps(directory)] == [4, 6, 8]


def test_steps_that_are_not_whole_do_not_count_and_what_is_no_checkpoint_is_named(remote, gs_bucket):
  with pytest.raises(UserError, match='nowhere does not exist: check its name'):
    checkpoint_dir.find(f'{gs_bucket.url}/nowhere')
  with pytest.raises(UserError, match='is no URL of a bucket: write gs://'):
    checkpoint_dir.find(Path(gs_bucket.url))
  with pytest.raises(UserError, match=r'train_log\.csv is not a checkpoint directory'):
    checkpoint_dir.find(f'{remote.url}/train_log.csv')
  with pytest.raises(UserError, match='has no step 5; there are 2, 4, 6'):
    checkpoint_dir.find(f'{remote.url}/checkpoint/5')
  stores.delete(f'{remote.url}/checkpoint/6/commit_success.txt')
  directory, wanted = checkpoint_dir.find_step(f'{remote.url}/checkpoint')
  assert checkpoint_dir.read_variables(directory, wanted)[1] == 4
  for step in (2, 4):
    stores.delete(f'{remote.url}/checkpoint/{step}/commit_success.txt')
  with pytest.raises(UserError, match=r'checkpoint holds no step with commit_success\.txt'):
    checkpoint_dir.find_step(f'{remote.url}/checkpoint')


def test_remote_stablehlo_is_a_program(tmp_path, gs_bucket):
  (tmp_path / 'exported').mkdir()
  (tmp_path / 'exported' / 'model.stablehlo').touch()
  transfer.upload(tmp_path / 'exported', f'{gs_bucket.url}/exported')
  assert checkpoint_dir.is_exported(f'{gs_bucket.url}/exported')


@pytest.mark.slow
def test_a_checkpoint_in_s3_is_read(tmp_path, s3_bucket):
  save_steps(tmp_path / 'checkpoint', 'generator', {2: 0.5})
  transfer.upload(tmp_path, s3_bucket.url)
  directory, wanted = checkpoint_dir.find_step(s3_bucket.url)
  assert checkpoint_dir.read_variables(directory, wanted)[1] == 2
