"""The flow of a silent generator, which shuts the mouths that another one is shown: trained with, dubbed, exported."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import run, tiny_config

import lpips_jax
from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing.generator import BatchedGenerator, made_fast
from lpips_jax.interop.export import export
from lpips_jax.training import checkpoints, step_program
from lpips_jax.training.frozen import load_frozen
from lpips_jax.training.tasks import make_task

RNG = np.random.default_rng(0)
FACES = RNG.random((3, 32, 32, 6), np.float32)
PHONES = RNG.random((3, 80, 16), np.float32)
SILENCE = np.zeros((80, 16), np.float32)  # as a recogniser finds it: the phone of silence, and no loudness
SILENCE[0] = 1


def silent_config(directory, silent):
  config = tiny_config('generator', directory)
  config.update(silent_generator=str(silent), eval_every=1)  # the sync loss opens after the first step
  config.model.output = 'change'
  config.data.reference = 'elsewhere'
  config.losses.update(sync_kind='stabilised', sync_gate=1e9, sync=0.1, perceptual=0.0, triplet=0.1)
  return config


def by_hand(silent, references):
  """The output of a generator for a masked frame, the frame itself, and silence."""
  masked = references.copy()
  masked[:, 16:] = 0
  faces = np.concatenate([masked, references], -1)
  return np.asarray(silent.model.apply(silent.variables, faces, np.repeat(SILENCE[None], len(faces), 0)))


@pytest.fixture(scope='module')
def checkpoint(trained_checkpoint, directory, tmp_path_factory):
  """The checkpoint of a run that had a silent generator, whose own checkpoint is gone."""
  given = tmp_path_factory.mktemp('silent') / 'checkpoint'
  shutil.copytree(trained_checkpoint, given)
  workdir = tmp_path_factory.mktemp('main')
  state = run(silent_config(directory, given), workdir)
  assert int(state.step) == 2
  shutil.rmtree(given)
  return workdir / 'checkpoint'


@pytest.mark.slow
def test_a_checkpoint_shuts_the_mouth_that_it_is_shown(checkpoint, trained_checkpoint):
  network, silent = lpips_jax.load(checkpoint), pretrained.load(trained_checkpoint)
  rest = by_hand(silent, FACES[..., 3:])
  assert np.abs(rest - FACES[..., 3:]).max() > 0.01
  shown = np.concatenate([FACES[..., :3], rest], -1)
  expected = network.model.apply(network.variables, shown, PHONES)
  np.testing.assert_allclose(network(FACES, PHONES), expected, atol=1e-5)
  assert network.fingerprint != dataclasses.replace(network, silent=None).fingerprint


@pytest.mark.slow
def test_so_does_dubbing(checkpoint):
  network = lpips_jax.load(checkpoint)
  np.testing.assert_allclose(made_fast(network, 'float32')(FACES, PHONES), network(FACES, PHONES), atol=1e-4)
  target, reference = RNG.integers(256, size=(2, 1, 32, 32, 3), dtype=np.uint8)
  made = BatchedGenerator(network, 2, 'float32')(target, reference, PHONES[:1]).result()
  masked = np.where((np.arange(32) < 16)[:, None, None], target / 255, 0)
  faces = np.concatenate([masked, reference / 255], -1).astype(np.float32)
  np.testing.assert_allclose(made, network(faces, PHONES[:1]), atol=1e-4)


@pytest.mark.slow
def test_a_step_sees_what_the_silent_generator_makes(checkpoint, directory):
  config = silent_config(directory, '')
  config.silent_generator = 'gone'
  frozen = load_frozen(config, checkpoint)
  task, network = make_task(config, frozen), pretrained.load(checkpoint)
  batch = {
    'target': RNG.integers(256, size=(2, 5, 32, 32, 3), dtype=np.uint8),
    'reference': RNG.integers(256, size=(2, 5, 32, 32, 3), dtype=np.uint8),
    'mel': np.repeat(PHONES[:2, None], 5, 1),
    'window_mel': RNG.standard_normal((2, 80, 16), np.float32),
    'window_phones': RNG.standard_normal((2, 80, 16), np.float32),
  }
  metrics, pictures = jax.jit(task.evaluate)(network.variables, batch, frozen.variables)
  rest = by_hand(network.silent, batch['reference'][:, 2].astype(np.float32) / 255)
  np.testing.assert_allclose(pictures['reference'], rest, atol=1e-5)
  faces = np.concatenate([pictures['masked'], batch['reference'][:, 2] / 255], -1)
  np.testing.assert_allclose(pictures['generated'], network(faces.astype(np.float32), PHONES[:2]), atol=1e-4)

  counted = {'reconstruction', 'lower_half', 'triplet'}
  expected = sum(config.losses[name] * metrics[name] for name in counted)
  expected += config.losses.sync * metrics['stabilised_sync']
  np.testing.assert_allclose(metrics['loss'], expected, rtol=1e-5)
  assert np.isfinite(metrics['sync']) and metrics['stabilised_sync'] > 0


def test_a_resumed_run_keeps_its_silent_generator(checkpoint, directory, tmp_path):
  shutil.copytree(checkpoint, tmp_path / 'checkpoint')
  with checkpoints.open_run(tmp_path / 'checkpoint', silent_config(directory, '')):
    pass
  assert lpips_jax.load(tmp_path).silent is not None


@pytest.mark.parametrize('form', ['orbax', 'stablehlo'])
def test_exported_with_its_silent_generator(form, checkpoint, tmp_path):
  export(checkpoint, tmp_path / 'out', form, fold=True)
  expected = lpips_jax.load(checkpoint)(FACES, PHONES)
  np.testing.assert_allclose(lpips_jax.load(tmp_path / 'out', True)(FACES, PHONES), expected, atol=1e-4)


@pytest.mark.parametrize('form', ['safetensors', 'onnx'])
def test_not_exported_without(form, checkpoint, tmp_path):
  with pytest.raises(UserError, match=f'has a silent generator, which {form} cannot hold'):
    export(checkpoint, tmp_path / 'out', form)
  assert not (tmp_path / 'out').exists()


def test_unusable_silent_generators_are_refused(checkpoint, trained_checkpoint, directory, tmp_path):
  workdir = tmp_path / 'run' / 'checkpoint'
  workdir.mkdir(parents=True)
  export(trained_checkpoint, tmp_path / 'folded', 'orbax', True)
  for given, message in (
    (directory / 'sync_expert', 'holds a sync_expert, not a generator'),
    (checkpoint, 'was trained with a silent generator'),
    (tmp_path / 'folded', 'has its BatchNorm folded away'),
  ):
    with pytest.raises(UserError, match=message):
      load_frozen(silent_config(directory, given), workdir)
  assert not (workdir / pretrained.SILENT_GENERATOR).exists()
  config = silent_config(directory, trained_checkpoint)
  config.model.image_size = 64
  with pytest.raises(UserError, match=r'makes faces of 32 pixels, and config\.model\.image_size=64'):
    load_frozen(config, workdir)


def test_a_plan_counts_it(trained_checkpoint, directory):
  config = silent_config(directory, trained_checkpoint)
  counts = step_program.parameters(config)
  leaves = jax.tree.leaves(pretrained.load(trained_checkpoint).variables['params'])
  assert counts['frozen silent_generator'] == sum(jnp.size(leaf) for leaf in leaves)
