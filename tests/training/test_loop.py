"""The training loop: nothing is lost when it is cut short, and nothing is mixed up when it goes on."""

import contextlib
import json
import shutil
from types import SimpleNamespace

import grain
import jax
import numpy as np
import pytest
from runs import PowerCut, cut_after, run, tiny_config

from data_pipeline import input as data
from lpips_jax import models, pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import alone_in
from lpips_jax.media.video_reader import probe
from lpips_jax.models.initialise import init_variables
from lpips_jax.training import loop
from lpips_jax.training.loop import train
from lpips_jax.training.state import CLOSED, TrainState


@pytest.mark.parametrize('task', ['sync_expert', 'generator'])
def test_interrupted_and_resumed_is_bit_for_bit_uninterrupted(task, directory, tmp_path, monkeypatch):
  config = tiny_config(task, directory)
  config.update(steps=4, checkpoint_every=2, eval_every=1)
  if task == 'generator':
    config.losses.sync_gate = 1e9  # opens at the first evaluation: the gate has to survive, too
    config.losses.adversarial = 0.1  # and the discriminator
  whole = run(config, tmp_path / 'whole')
  with monkeypatch.context() as patch, pytest.raises(PowerCut):
    cut_after(patch, 3)
    run(config, tmp_path / 'cut')
  resumed = run(config, tmp_path / 'cut')

  assert int(resumed.step) == 4
  assert int(resumed.sync_opened) == (1 if task == 'generator' else CLOSED)
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
  assert not still


def test_checkpoint_stands_alone(trained_checkpoint, directory, tmp_path, caplog):
  generator = pretrained.load(trained_checkpoint)
  assert 'metadata' not in caplog.text  # Orbax would warn of what it cannot describe, such as the state of the data
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
  with pytest.raises(UserError, match='holds a run of the task generator, not sync_expert'):
    train(tiny_config('sync_expert', directory), trained_checkpoint.parent, no_data)


def test_a_file_is_no_workdir(directory, tmp_path):
  (tmp_path / 'run').write_text('')
  with pytest.raises(UserError, match='is a file: give a directory'):
    train(tiny_config('sync_expert', directory), tmp_path / 'run', no_data)


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


def accepted(config, workdir):
  """That a run may go on with these values."""
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
  assert 'is not looked at' not in caplog.text
  config.sync_expert = str(directory / 'another')
  accepted(config, moved)
  assert f'config.sync_expert={directory / "another"} is not looked at' in caplog.text
  assert pretrained.read_config(moved / 'checkpoint').sync_expert == str(directory / 'sync_expert' / 'checkpoint')
  shutil.rmtree(moved / 'checkpoint' / 'sync_expert')
  with pytest.raises(UserError, match=r'sync_expert: .* -> .*another'):
    train(config, moved, no_data)


def test_what_leaves_the_result_as_it_is_may_change(moved, directory, caplog):
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
  with pytest.raises(UserError, match=r'run of 2 steps, over which config.optimizer.cosine .* --config.steps=2'):
    train(config, moved, no_data)


def test_networks_that_cannot_be_trained_with_are_one_line(directory, tmp_path):
  folded = shutil.copytree(directory / 'sync_expert' / 'checkpoint', tmp_path / 'folded')
  config = pretrained.read_config(folded)
  config.folded = True
  (folded / 'config.json').write_text(config.to_json())
  config = tiny_config('generator', directory)
  config.sync_expert = str(folded)
  with pytest.raises(UserError, match='folded has its BatchNorm folded away: train with the checkpoint before folding'):
    train(config, tmp_path / 'run', no_data)


def test_the_average_is_what_is_evaluated_and_shown(directory, tmp_path):
  config, seen = tiny_config('sync_expert', directory), []

  def evaluate(variables, batch, weights):
    seen.append(variables)
    return {'loss': 1.0}, {}

  def view(log, step, variables, *rest):
    seen.append(variables)
    return {}

  pace = SimpleNamespace(paused=contextlib.nullcontext)
  log = SimpleNamespace(evaluation=lambda step, values: None)
  of_run = loop.Run(config, tmp_path, evaluate, {}, [{}, {}], [], view, pace, log)
  loop._evaluated(of_run, 1, SimpleNamespace(average='average', variables='variables'))
  assert seen == ['average'] * 3


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
    {'optimizer.scaling': 'cubic'},
    {'losses.adversarial_kind': 'wgan'},
    {'accumulate': 3},
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


def test_weights_of_another_network_are_told_when_they_are_used(trained_checkpoint, tmp_path):
  copy = shutil.copytree(trained_checkpoint, tmp_path / 'copy')
  config = pretrained.read_config(copy)
  config.model.stem_kernel = 5
  (copy / 'config.json').write_text(config.to_json())
  network = pretrained.load(copy)
  inputs = [np.zeros(x.shape, x.dtype) for x in models.example_inputs(config.model)]
  with pytest.raises(UserError, match='not of the network'):
    network(*inputs)


def test_a_loss_that_is_not_finite_stops_before_it_is_saved_and_names_the_clips(directory, tmp_path):
  config = tiny_config('sync_expert', directory)
  config.update(steps=9, eval_every=9, checkpoint_every=1)
  batches = data.train_batches(config)
  good, bad = next(batches), next(batches)
  poisoned = bad | {'mel': np.full_like(bad['mel'], np.nan)}
  iterator = Batches([good, good, poisoned, good, good])
  with pytest.raises(FloatingPointError, match='not finite at step 3'):
    run(config, tmp_path / 'run', iterator)
  told = json.loads((tmp_path / 'run' / 'not_finite_3.json').read_text())
  assert told['step'] == 3 and told['metrics']['loss'] == 'nan'
  assert told['clips'] == sorted({name.decode() for name in bad['id']})
  kept = pretrained.load(tmp_path / 'run')
  assert kept.step == 2
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(kept.variables))


def test_an_evaluation_that_is_not_finite_is_not_saved(directory, tmp_path, monkeypatch):
  config = tiny_config('sync_expert', directory)
  evaluated = loop._evaluated

  def beyond_use(run, n, state):
    broken = state.replace(average=jax.tree.map(lambda x: x * np.nan, state.average))
    return evaluated(run, n, broken if n == 2 else state)

  monkeypatch.setattr(loop, '_evaluated', beyond_use)
  config.update(steps=4, eval_every=1, checkpoint_every=1)
  with pytest.raises(FloatingPointError, match='evaluated at step 2 is nan'):
    run(config, tmp_path / 'run')
  assert pretrained.load(tmp_path / 'run').step == 1


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


def test_two_runs_in_one_directory_are_refused(directory, tmp_path):
  config = tiny_config('sync_expert', directory)
  (tmp_path / 'run').mkdir()
  with alone_in(tmp_path / 'run'), pytest.raises(UserError, match='another run is at work in'):
    train(config, tmp_path / 'run', no_data)


class Batches(grain.DatasetIterator):
  """These batches and no others."""

  def __init__(self, batches):
    super().__init__()
    self.batches, self.position = batches, 0

  def __next__(self):
    self.position += 1
    return dict(self.batches[self.position - 1])

  def get_state(self):
    return {'position': self.position}

  def set_state(self, state):
    self.position = state['position']


def test_pictures_and_videos_are_left(trained_checkpoint, directory):
  assert (trained_checkpoint.parent / 'samples' / '0000002.png').stat().st_size > 0
  assert list((trained_checkpoint.parent / 'tensorboard').iterdir())
  clip = probe(trained_checkpoint.parent / 'samples' / '0000002.mp4')
  assert (clip.width, clip.height) == (64, 32)
  assert (directory / 'sync_expert' / 'diagnosis' / '0000002.png').stat().st_size > 0
