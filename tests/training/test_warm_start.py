"""Starting from a trained network: arrays are taken by name and shape, and a line says what became of the others."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from runs import run, tiny_config

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.training.frozen import load_frozen
from lpips_jax.training.tasks import make_task
from lpips_jax.training.warm_start import find_start, start_from, take_by_name


def tree(**shapes):
  return {'params': {name: {'kernel': jnp.full(shape, 1.0)} for name, shape in shapes.items()}}


def test_arrays_are_taken_by_name_and_shape():
  own, base = tree(a=(2, 3), b=(4,), c=(1,)), jax.tree.map(lambda x: 5 * x, tree(a=(2, 3), b=(6,), d=(1,)))
  variables, found = take_by_name(own, base)
  assert found.taken == [('params', 'a', 'kernel')]
  assert found.unfit == {('params', 'b', 'kernel'): ((6,), (4,))}
  assert (found.left_out, found.missing) == ([('params', 'd', 'kernel')], [('params', 'c', 'kernel')])
  np.testing.assert_array_equal(variables['params']['a']['kernel'], np.full((2, 3), 5.0))
  np.testing.assert_array_equal(variables['params']['b']['kernel'], np.ones(4))
  jax.tree.map(lambda x: x.delete(), base)  # as donation would
  assert float(variables['params']['a']['kernel'].sum()) == 30


def start_of(config, checkpoint):
  return find_start(config.init_from, config.task, checkpoint)


def first_state(config, workdir):
  """The state before the run's first step."""
  checkpoint = workdir / 'checkpoint'
  return make_task(config, load_frozen(config, checkpoint), start_of(config, checkpoint)).init()


@pytest.fixture
def config(trained_checkpoint, directory):
  config = tiny_config('generator', directory)
  config.update(init_from=str(trained_checkpoint), sync_expert='')
  return config


@pytest.fixture
def workdir(tmp_path):
  (tmp_path / 'run' / 'checkpoint').mkdir(parents=True)
  return tmp_path / 'run'


def test_a_run_starts_at_step_0_with_the_average_of_its_base_and_its_expert(
  config, trained_checkpoint, workdir, capsys
):
  state = first_state(config, workdir)
  base = pretrained.load(trained_checkpoint)
  assert int(state.step) == 0
  for tree in (state.variables, state.average):
    jax.tree.map(np.testing.assert_array_equal, tree, base.variables)
  assert all(not np.any(x) for x in jax.tree.leaves(state.optimizer))
  assert (workdir / 'checkpoint' / 'sync_expert' / 'config.json').exists()
  count = len(jax.tree.leaves(base.variables))
  taken = f'{count} of {count} arrays come from it'
  assert capsys.readouterr().out == f'starting from {trained_checkpoint}, step 2: {taken}\n'


def test_an_expert_starts_from_an_expert_of_another_image_size(directory, workdir, capsys):
  config = tiny_config('sync_expert', directory)
  config.model.image_size = 48
  config.init_from = str(directory / 'sync_expert')
  state = first_state(config, workdir)
  base, own = (flatten_dict(v) for v in (pretrained.load(config.init_from).variables, state.variables))
  same = {path for path in own if own[path].shape == base[path].shape}
  assert 0 < len(own) - len(same) < 4
  for path in same:
    np.testing.assert_array_equal(own[path], base[path])
  line = capsys.readouterr().out
  assert len(line.splitlines()) == 1
  assert f'{len(own) - len(same)} of another shape start from random numbers: face' in line


def test_another_width_keeps_what_fits_and_asks_the_expert_for_the_rest(config, directory, workdir, capsys):
  config.model.widths = (4, 12)
  state = first_state(config, workdir)
  base = pretrained.load(config.init_from).variables['params']['audio_encoder']
  jax.tree.map(np.testing.assert_array_equal, state.variables['params']['audio_encoder'], base)  # the base's wins
  line = capsys.readouterr().out
  assert ' of another shape start from random numbers: ' in line and len(line.splitlines()) == 1


def test_unusable_bases_are_one_line(config, directory, trained_checkpoint, tmp_path):
  config.model.update(audio_widths=(6, 6, 6, 6, 6), widths=(6, 6), attention=False)
  config.audio_encoder_from_expert = False
  own = {'params': {'audio_encoder': {'kernel': jnp.zeros(7)}}}
  with pytest.raises(UserError, match='holds a sync_expert, not a generator'):
    config.init_from = str(directory / 'sync_expert')
    start_of(config, tmp_path)
  with pytest.raises(UserError, match='does not exist'):
    config.init_from = str(tmp_path / 'nowhere')
    start_of(config, tmp_path)
  config.init_from = str(trained_checkpoint)
  with pytest.raises(UserError, match=r'none of its \d+ arrays fits this network'):
    start_from(own, start_of(config, tmp_path))


@pytest.mark.slow
def test_a_resumed_run_does_without_its_base(config, trained_checkpoint, tmp_path, capsys):
  base = shutil.copytree(trained_checkpoint, tmp_path / 'base')
  config.update(init_from=str(base), steps=1)
  config.optimizer.warmup_steps = 0
  run(config, tmp_path / 'run')
  shutil.rmtree(base)
  config.steps = 2
  capsys.readouterr()
  assert int(run(config, tmp_path / 'run').step) == 2
  assert 'starting from' not in capsys.readouterr().out
  config.init_from = ''
  run(config, tmp_path / 'run')
  assert pretrained.read_config(tmp_path / 'run' / 'checkpoint').init_from == str(base)
