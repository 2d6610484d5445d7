"""A network with its weights is saved, loaded, identified and made faster; programs run only where trusted."""

import dataclasses

import jax
import numpy as np
import pytest
from networks import random_network

import lpips_jax
from lpips_jax import models, pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import Dubber, generator
from lpips_jax.evaluation import scorers
from lpips_jax.interop.convert import convert
from lpips_jax.interop.export import export
from lpips_jax.pretrained import network as network_module

RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def expert():
  return random_network('sync_expert')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
  """A generator's checkpoint directory, with a silent generator in it and no sync expert."""
  directory = tmp_path_factory.mktemp('generator')
  network = random_network('generator')
  network.config.silent_generator = 'a copy'
  pretrained.save(directory, dataclasses.replace(network, silent=random_network('generator', 1)))
  return directory


def inputs_of(network):
  shapes = models.example_inputs(network.config.model)
  return [RNG.uniform(size=(2, *x.shape[1:])).astype(np.float32) for x in shapes]


def test_a_saved_network_loads_with_its_silent_generator(checkpoint):
  network = lpips_jax.load(checkpoint)
  assert network.step == network.silent.step == 3 and network.silent.silent is None
  for loaded, original in ((network, random_network('generator')), (network.silent, random_network('generator', 1))):
    assert loaded.model == original.model
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, original.variables)


def test_shapes_of_variables_are_known_without_them(expert):
  shapes = network_module.variable_shapes(expert.config)
  jax.tree.map(lambda shape, x: np.testing.assert_array_equal(shape.shape, x.shape), shapes, expert.variables)
  network = pretrained.folded(expert)
  shapes = network_module.variable_shapes(network.config)
  jax.tree.map(lambda shape, x: np.testing.assert_array_equal(shape.shape, x.shape), shapes, network.variables)


def test_a_fingerprint_changes_with_values_paths_and_the_silent_generator(checkpoint):
  tree = {'a': np.arange(3.0), 'b': {'c': np.zeros(2)}}
  first = pretrained.fingerprint_of(tree)
  assert first == pretrained.fingerprint_of(jax.tree.map(np.copy, tree))
  assert len(first) == 12 and int(first, 16) >= 0
  others = [
    pretrained.fingerprint_of({'a': np.arange(3.0), 'b': {'c': np.ones(2)}}),
    pretrained.fingerprint_of({'a': np.arange(3.0), 'b': {'d': np.zeros(2)}}),
    pretrained.fingerprint_of(tree, 'silent'),
  ]
  assert len({first, *others}) == 4
  network = pretrained.load(checkpoint)
  alone = dataclasses.replace(network, silent=None)
  assert network.fingerprint != alone.fingerprint == pretrained.fingerprint_of(network.variables)


def test_without_batch_norm_an_expert_is_the_same_function(expert):
  inputs = inputs_of(expert)
  faster = pretrained.folded(expert)
  assert faster.config.folded and 'batch_stats' not in faster.variables and pretrained.folded(faster) is faster
  for ours, expected in zip(faster(*inputs), expert(*inputs), strict=True):
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_with_winograd_an_expert_is_the_same_function():
  # Only 3x3 convolutions of stride 1 with 16 channels or more gain from it.
  network = pretrained.folded(
    random_network('sync_expert', audio_widths=(16, 16, 8, 8, 8), audio_residuals=(1, 0, 0, 0))
  )
  faster = pretrained.with_winograd(network)
  dimensions = [x.ndim for x in jax.tree.leaves(network.variables)]
  assert [x.ndim for x in jax.tree.leaves(faster.variables)] != dimensions
  inputs = inputs_of(network)
  for ours, expected in zip(faster(*inputs), network(*inputs), strict=True):
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_weights_of_another_network_are_reported_when_they_are_used(expert):
  other = dataclasses.replace(expert, model=expert.model.clone(stem_kernel=5))
  with pytest.raises(UserError, match=r'do not fit the network that its config\.json describes') as caught:
    other(*inputs_of(expert))
  assert '\n' not in str(caught.value)


def test_networks_of_another_kind_are_refused(checkpoint, expert, tmp_path):
  pretrained.save(tmp_path / 'expert', expert)
  assert pretrained.load_expert(tmp_path / 'expert').step == 3
  with pytest.raises(UserError, match='holds a generator, not a sync_expert'):
    pretrained.load_expert(checkpoint)
  with pytest.raises(UserError, match='holds a sync_expert, not a generator'):
    pretrained.load_silent_generator(tmp_path / 'expert')
  with pytest.raises(UserError, match='was trained with a silent generator'):
    pretrained.load_silent_generator(checkpoint)
  pretrained.save(tmp_path / 'folded', pretrained.folded(pretrained.load(checkpoint).silent))
  with pytest.raises(UserError, match='has its BatchNorm folded away'):
    pretrained.load_silent_generator(tmp_path / 'folded')


def test_the_expert_of_a_generator_lies_beside_its_weights(checkpoint, expert, tmp_path):
  with pytest.raises(UserError, match='keeps no sync expert to score lips with: give one as sync_expert') as caught:
    pretrained.load_expert_of(checkpoint)
  assert caught.value.as_flags().endswith('give one as --sync_expert')
  pretrained.save(tmp_path, random_network('generator'))
  pretrained.save(tmp_path / 'sync_expert', expert)
  assert pretrained.load_expert_of(tmp_path).fingerprint == expert.fingerprint


def test_programs_of_others_run_only_where_they_are_trusted(tmp_path, monkeypatch):
  """They are not even read: deserialising hands them to XLA."""
  monkeypatch.setattr(network_module, '_read_exported', None)
  (tmp_path / 'hlo').mkdir()
  (tmp_path / 'hlo' / 'model.stablehlo').write_bytes(b'a program')
  named = str(tmp_path / 'hlo')
  for load in (lpips_jax.load, pretrained.load, generator.load_generator, lambda path: Dubber(path).generator):
    with pytest.raises(UserError, match=r'is StableHLO, a program.*: if you trust its source, add') as caught:
      load(named)
    assert '\n' not in str(caught.value)
    assert caught.value.as_flags().endswith('add --trust_stablehlo=True')
  with pytest.raises(UserError, match='add trust_stablehlo=True'):
    scorers.load_scorers(UserError('none'), named, None, None)
  for load in (pretrained.load_weights, pretrained.load_expert, pretrained.load_silent_generator):
    with pytest.raises(UserError, match='give the checkpoint directory that it was made from'):
      load(named)
  with pytest.raises(UserError, match='give the checkpoint directory'):
    export(named, tmp_path / 'out', 'orbax')
  with pytest.raises(UserError, match='take it as it is, with trust_stablehlo=True'):
    convert(tmp_path / 'hlo', tmp_path / 'out')
  assert [path.name for path in tmp_path.iterdir()] == ['hlo']


def test_damaged_programs_are_one_line(tmp_path):
  pretrained.save(tmp_path / 'generator', random_network('generator'))
  export(tmp_path / 'generator', tmp_path / 'program', 'stablehlo')
  program = tmp_path / 'program' / 'model.stablehlo'
  content = bytearray(program.read_bytes())
  content[len(content) // 2] ^= 1
  program.write_bytes(content)
  with pytest.raises(UserError, match=r'model\.stablehlo is not what model\.json was written for'):
    pretrained.load(tmp_path / 'program', trust_stablehlo=True)
  (tmp_path / 'hlo').mkdir()
  (tmp_path / 'hlo' / 'model.stablehlo').write_bytes(b'nothing')
  with pytest.raises(UserError, match='damaged or incomplete'):
    pretrained.load(tmp_path / 'hlo', trust_stablehlo=True)
