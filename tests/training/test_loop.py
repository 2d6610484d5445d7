"""The training loop: nothing is lost when it is cut short, and nothing is mixed up when it goes on."""

import contextlib
import json
from types import SimpleNamespace

import grain
import jax
import numpy as np
import pytest
from runs import PowerCut, cut_after, no_data, run, tiny_config

from benchmarks.tiny import TINY_OVERRIDES
from data_pipeline import input as data
from lpips_jax import models, pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import directory_lock
from lpips_jax.models.initialise import init_variables
from lpips_jax.pretrained import model_card
from lpips_jax.training import generator_losses, loop
from lpips_jax.training.loop import train


@pytest.mark.slow
@pytest.mark.parametrize('name', TINY_OVERRIDES)
def test_interrupted_and_resumed_is_bit_for_bit_uninterrupted(name, teachers, tmp_path, monkeypatch):
  config, gates = tiny_config(name, teachers), {}
  config.update(steps=4, checkpoint_every=2, eval_every=1)
  if config.task == 'generator':
    gates = generator_losses.gates(config.losses)
    config.losses.update({f'{gate}_gate': 1e9 for gate in gates})  # open at the first evaluation, and have to survive
    config.losses.adversarial = 0.1 if name == 'generator' else 0.0  # and so has the discriminator
  whole = run(config, tmp_path / 'whole')
  with monkeypatch.context() as patch, pytest.raises(PowerCut):
    cut_after(patch, 3)
    run(config, tmp_path / 'cut')
  resumed = run(config, tmp_path / 'cut')

  assert int(resumed.step) == 4
  assert {gate: int(since) for gate, since in resumed.opened.items()} == dict.fromkeys(gates, 1)
  for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
    np.testing.assert_array_equal(a, b)
  lines = [json.loads(line) for line in (tmp_path / 'cut' / 'metrics.jsonl').read_text().splitlines()]
  assert [line['step'] for line in lines if line['kind'] == 'train'] == [1, 2, 3, 4]


@pytest.mark.slow
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


def test_a_checkpoint_stands_alone(trained_checkpoint, directory, tmp_path, caplog):
  generator = pretrained.load(trained_checkpoint)
  assert 'metadata' not in caplog.text  # Orbax would warn that it cannot describe the state of the data
  assert generator.step == 2 and generator.config.task == 'generator'
  faces = np.random.default_rng(0).random((2, 32, 32, 6), np.float32)
  out = np.asarray(generator(faces, np.zeros((2, 80, 16), np.float32)))
  assert out.shape == (2, 32, 32, 3) and 0 <= out.min() <= out.max() <= 1
  expert = pretrained.load(trained_checkpoint / 'sync_expert')
  assert (trained_checkpoint / 'sync_expert' / model_card.FILE).is_file()
  original = pretrained.load(directory / 'sync_expert')  # a run, too, may be given
  for a, b in zip(jax.tree.leaves(expert.variables), jax.tree.leaves(original.variables), strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_file_is_no_workdir(directory, tmp_path):
  (tmp_path / 'run').write_text('')
  with pytest.raises(UserError, match=r'^workdir=.* is a file: give a directory'):
    train(tiny_config('sync_expert', directory), tmp_path / 'run', no_data)


def test_the_average_is_evaluated_and_shown(directory, tmp_path):
  config, seen = tiny_config('sync_expert', directory), []

  def evaluate(variables, batch, frozen_variables):
    seen.append(variables)
    return {'loss': 1.0}, {}

  def preview(log, step, variables, *rest):
    seen.append(variables)
    return {}

  context = loop.RunContext(
    config=config,
    workdir=tmp_path,
    step=None,
    evaluate=evaluate,
    gates={},
    frozen_variables={},
    mesh=None,
    batches=None,
    eval_batches=[{}, {}],
    clips=[],
    checkpointer=None,
    preview=preview,
    clock=SimpleNamespace(during=contextlib.nullcontext),
    pace=None,
    profile=None,
    log=SimpleNamespace(evaluation=lambda step, values: None),
  )
  loop._evaluate(context, 1, SimpleNamespace(average='average', variables='variables'))
  assert seen == ['average'] * 3


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
    {'profile': '10'},
    {'profile': '2:3'},
    {'writers': 'jsonl,csv'},
  ],
)
def test_impossible_values_leave_nothing(values, directory, tmp_path):
  config = tiny_config('generator', directory)
  config.update_from_flattened_dict(values)
  with pytest.raises(UserError, match=f'config.{next(iter(values))}='):
    train(config, tmp_path / 'run', no_data)
  assert not (tmp_path / 'run').exists()


def test_a_loss_that_is_not_finite_stops_before_it_is_saved_and_names_the_clips(directory, tmp_path):
  config = tiny_config('sync_expert', directory)
  config.update(steps=9, eval_every=9, checkpoint_every=1)
  batches = data.train_batches(config)
  good, bad = next(batches), next(batches)
  poisoned = bad | {'mel': np.full_like(bad['mel'], np.nan)}
  iterator = Batches([good, good, poisoned, good, good])
  with pytest.raises(FloatingPointError, match='not finite at step 3'):
    run(config, tmp_path / 'run', iterator)
  left = json.loads((tmp_path / 'run' / 'not_finite_3.json').read_text())
  assert left['step'] == 3 and left['metrics']['loss'] == 'nan'
  assert left['clips'] == sorted({name.decode() for name in bad['id']})
  kept = pretrained.load(tmp_path / 'run')
  assert kept.step == 2
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(kept.variables))


def test_an_evaluation_that_is_not_finite_is_not_saved(directory, tmp_path, monkeypatch):
  config = tiny_config('sync_expert', directory)
  evaluate = loop._evaluate

  def beyond_use(run, n, state):
    broken = state.replace(average=jax.tree.map(lambda x: x * np.nan, state.average))
    return evaluate(run, n, broken if n == 2 else state)

  monkeypatch.setattr(loop, '_evaluate', beyond_use)
  config.update(steps=4, eval_every=1, checkpoint_every=1)
  with pytest.raises(FloatingPointError, match='evaluated at step 2 is nan'):
    run(config, tmp_path / 'run')
  assert pretrained.load(tmp_path / 'run').step == 1


def test_two_runs_in_one_directory_are_refused(directory, tmp_path):
  config = tiny_config('sync_expert', directory)
  (tmp_path / 'run').mkdir()
  with directory_lock(tmp_path / 'run'), pytest.raises(UserError, match='another run is at work in'):
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
