"""Checkpoints of a run: what is kept, what may change on resuming, and what a kill, SIGTERM or a full disk leaves."""

import contextlib
import json
import os
import resource
import shutil
import signal
import threading
import time

import jax
import numpy as np
import pytest
from runs import PowerCut, cut_after, no_data, run, tiny_config

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.pretrained import model_card
from lpips_jax.training import checkpoints, loop, sharding
from lpips_jax.training.loop import train
from lpips_jax.training.state import TrainState


def test_the_last_and_the_best_are_kept(directory, tmp_path, monkeypatch):
  config = tiny_config('sync_expert', directory)
  config.update(steps=4, checkpoint_every=1, eval_every=1, keep=1)
  found = iter([(3.0, 0.6), (2.0, 0.8), (1.0, 0.7), (4.0, 0.5)])  # an expert is as good as it ranks, whatever its loss
  names = 'loss', 'ranking'
  monkeypatch.setattr(loop, '_evaluate', lambda _, n, state: (state, dict(zip(names, next(found), strict=True))))
  run(config, tmp_path / 'run')
  kept = sorted(int(child.name) for child in (tmp_path / 'run' / 'checkpoint').iterdir() if child.name.isdigit())
  assert kept == [2, 4]
  assert pretrained.load(tmp_path / 'run').step == 2  # the best, of an expert
  assert pretrained.load(tmp_path / 'run' / 'checkpoint' / 'best').step == 2
  assert pretrained.load(tmp_path / 'run' / 'checkpoint' / '4').step == 4
  with pytest.raises(UserError, match='has no step 3; there are 2, 4'):
    pretrained.load(tmp_path / 'run' / 'checkpoint' / '3')


@pytest.mark.slow
def test_saves_leave_no_threads(directory, tmp_path):
  config = tiny_config('sync_expert', directory)
  config.update(steps=6, checkpoint_every=1)
  run(config, tmp_path / 'run')
  before = threading.active_count()
  config.steps = 12
  run(config, tmp_path / 'run')
  deadline = time.monotonic() + 10
  while threading.active_count() > before + 2 and time.monotonic() < deadline:
    time.sleep(0.05)
  assert threading.active_count() <= before + 2


def test_a_kill_while_an_old_step_is_deleted_leaves_no_half_of_it(directory, tmp_path, monkeypatch):
  config = tiny_config('sync_expert', directory)
  config.update(steps=3, checkpoint_every=1, eval_every=3, keep=1, keep_best=0)
  rmtree = shutil.rmtree

  def killed(path, *rest, **options):
    if str(path).endswith('.deleted'):
      raise KeyboardInterrupt
    rmtree(path, *rest, **options)

  with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
    patch.setattr(shutil, 'rmtree', killed)
    run(config, tmp_path / 'run')
  checkpoint = tmp_path / 'run' / 'checkpoint'
  assert (checkpoint / '1.deleted').is_dir()
  for step in [child.name for child in checkpoint.iterdir() if child.name.isdigit()]:
    assert pretrained.load(checkpoint / step).step == int(step)
  run(config, tmp_path / 'run')
  assert sorted(child.name for child in checkpoint.iterdir()) == ['3', model_card.FILE, 'config.json']


def test_a_checkpoint_that_cannot_be_read_is_set_aside_for_the_one_before(directory, tmp_path, caplog):
  config = tiny_config('sync_expert', directory)
  config.update(steps=4, checkpoint_every=2, eval_every=4, keep=2)
  whole = run(config, tmp_path / 'run')
  shutil.rmtree(tmp_path / 'run' / 'checkpoint' / '4' / 'state')
  again = run(config, tmp_path / 'run')
  assert 'step 4' in caplog.text and (tmp_path / 'run' / 'checkpoint' / '4.damaged').is_dir()
  for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(again), strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_sigterm_saves_and_the_same_command_goes_on(directory, tmp_path, monkeypatch):
  config = tiny_config('sync_expert', directory)
  config.update(steps=6, checkpoint_every=6, eval_every=6)
  whole = run(config, tmp_path / 'whole')
  put_batch = sharding.put_batch
  put = []

  def interrupted(batch, mesh):
    put.append(1)
    if len(put) == 4:  # the first is the evaluation's
      os.kill(os.getpid(), signal.SIGTERM)
    return put_batch(batch, mesh)

  with monkeypatch.context() as patch:
    patch.setattr(sharding, 'put_batch', interrupted)
    stopped = run(config, tmp_path / 'run')
  assert int(stopped.step) == 3
  assert pretrained.load(tmp_path / 'run').step == 3
  resumed = run(config, tmp_path / 'run')
  for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
    np.testing.assert_array_equal(a, b)


@contextlib.contextmanager
def full_disk_from_the_first_save_on(monkeypatch, room):
  """Lets no file grow above `room` bytes."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  save = checkpoints.save

  def save_on_full_disk(*arguments):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    save(*arguments)

  try:
    with monkeypatch.context() as patch:
      patch.setattr(checkpoints, 'save', save_on_full_disk)
      yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def half_of_the_largest_file(directory):
  return max(path.stat().st_size for path in directory.rglob('*') if path.is_file()) // 2


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_last_good_checkpoint_stays(directory, tmp_path, monkeypatch):
  config = tiny_config('sync_expert', directory)
  run(config, tmp_path / 'run')
  config.steps = 4
  room = half_of_the_largest_file(tmp_path / 'run' / 'checkpoint' / '2')
  refused = pytest.raises(UserError, match='last whole one is step 2: make room')
  with full_disk_from_the_first_save_on(monkeypatch, room), refused:
    run(config, tmp_path / 'run')
  assert pretrained.load(tmp_path / 'run').step == 2
  assert int(run(config, tmp_path / 'run').step) == 4


def test_a_save_that_fails_does_not_hide_what_ended_the_run(directory, tmp_path, monkeypatch):
  config = tiny_config('sync_expert', directory)
  config.update(steps=3, checkpoint_every=1, eval_every=3)
  room = half_of_the_largest_file(directory / 'sync_expert' / 'checkpoint')
  with full_disk_from_the_first_save_on(monkeypatch, room), pytest.raises(PowerCut):
    cut_after(monkeypatch, 2)
    run(config, tmp_path / 'run')


def test_the_average_is_loaded(directory, tmp_path):
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
  with pytest.raises(UserError, match='holds a run of the task generator, not sync_expert'):
    train(tiny_config('sync_expert', directory), trained_checkpoint.parent, no_data)


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


def test_keys_that_are_new_may_have_the_default_of_their_network(trained_checkpoint, directory, tmp_path):
  older = shutil.copytree(trained_checkpoint.parent, tmp_path / 'older')
  saved = json.loads((older / 'checkpoint' / 'config.json').read_text())
  del saved['model']['speech_window'], saved['model']['paint_bias'], saved['losses']['landmarks']
  (older / 'checkpoint' / 'config.json').write_text(json.dumps(saved))
  config = tiny_config('generator', directory)
  accepted(config, older)
  config.model.speech_window = 32
  with pytest.raises(UserError, match='speech_window: 16 -> 32'):
    train(config, older, no_data)


def accepted(config, workdir):
  """Asserts that a run may continue with these values."""
  with pytest.raises(RuntimeError, match='no data'):
    train(config, workdir, no_data)


@pytest.fixture
def moved(trained_checkpoint, tmp_path):
  """A run of a generator, elsewhere."""
  return shutil.copytree(trained_checkpoint.parent, tmp_path / 'moved')


def test_a_run_keeps_the_expert_it_began_with(moved, directory, caplog):
  config = tiny_config('generator', directory)
  config.sync_expert = ''
  accepted(config, moved)
  assert 'is ignored' not in caplog.text
  config.sync_expert = str(directory / 'another')
  accepted(config, moved)
  assert f'config.sync_expert={directory / "another"} is ignored' in caplog.text
  assert pretrained.read_config(moved / 'checkpoint').sync_expert == str(directory / 'sync_expert' / 'checkpoint')
  shutil.rmtree(moved / 'checkpoint' / 'sync_expert')
  with pytest.raises(UserError, match=r'sync_expert: .* -> .*another'):
    train(config, moved, no_data)


def test_keys_that_leave_the_result_as_it_is_may_change(moved, directory, caplog):
  config = tiny_config('generator', directory)
  config.data.update(data_dir='/elsewhere', workers=3)
  config.update(remat=True, init_from='/gone', keep=7, steps=99)
  accepted(config, moved)
  assert 'BatchNorm' not in caplog.text
  config.accumulate = 2
  accepted(config, moved)
  assert 'config.accumulate=2: BatchNorm now normalises over other parts' in caplog.text
  kept = pretrained.read_config(moved / 'checkpoint')
  assert (kept.data.data_dir, kept.data.workers, kept.keep) == ('/elsewhere', 3, 7)


def test_steps_that_the_learning_rate_depends_on_may_not_change(moved, directory):
  config = tiny_config('generator', directory)
  config.optimizer.cosine = True
  path = moved / 'checkpoint' / 'config.json'
  path.write_text(config.to_json_best_effort())
  accepted(config, moved)
  config.steps = 3
  with pytest.raises(UserError, match=r'run of 2 steps, over which config.optimizer.cosine .* config.steps=2'):
    train(config, moved, no_data)


def test_damaged_logs_and_metrics_are_not_in_the_way(directory, tmp_path):
  config = tiny_config('sync_expert', directory)
  run(config, tmp_path / 'run')
  (tmp_path / 'run' / 'checkpoint' / '2' / 'metrics' / 'metrics').write_text('')
  with (tmp_path / 'run' / 'metrics.jsonl').open('ab') as log:
    log.write(b'\xff\xfe{"step": "a"}\n{"step": 9')
  config.steps = 3
  assert int(run(config, tmp_path / 'run').step) == 3
  lines = [json.loads(line) for line in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()]
  assert [line['step'] for line in lines if line['kind'] == 'train'] == [1, 2, 3]


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
