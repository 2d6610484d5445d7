"""The base is tuned with its own config for a short while; the checkpoint lies between it and the tuned network."""

import dataclasses

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from networks import random_network

from configs import lrs2, lrs2_gan
from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.personalising import recipe
from lpips_jax.training.validation import check_config


@pytest.fixture(scope='module')
def base_checkpoint(tmp_path_factory):
  """A generator's checkpoint directory with its sync expert."""
  directory = tmp_path_factory.mktemp('base')
  pretrained.save(directory, random_network('generator'))
  pretrained.save(directory / 'sync_expert', random_network('sync_expert'))
  return directory


def test_the_base_keeps_its_network_and_losses(base_checkpoint):
  base = recipe.read_base(str(base_checkpoint), '')
  config = recipe.tuning_config(base, lrs2.get_config(), 100)
  assert config.model.to_dict() == {k: tuple(v) if isinstance(v, list) else v for k, v in base.model.items()}
  assert config.losses.to_dict() == base.losses.to_dict() and config.data.lead == base.data.lead
  assert config.steps == 100 and config.optimizer.learning_rate == pytest.approx(0.3 * base.optimizer.learning_rate)
  check_config(config)


def test_what_a_converted_base_was_never_trained_with_is_filled_in():
  model = {'name': 'wav2lip', 'image_size': 96, 'dtype': 'float32'}
  converted = ConfigDict({'task': 'generator', 'model': model, 'data': {'lead': 1.0}})
  config = recipe.tuning_config(converted, lrs2_gan.get_config(), 8)
  assert config.model.to_dict() == model and config.data.lead == 1.0
  assert config.losses.adversarial_start == config.losses.warmup_steps.adversarial == 2  # within so short a run
  check_config(config)


def test_a_base_must_be_a_generator_with_an_expert(base_checkpoint, tmp_path):
  with pytest.raises(UserError, match='holds a sync_expert, not a generator'):
    recipe.read_base(str(base_checkpoint / 'sync_expert'), '')
  network = pretrained.load(base_checkpoint)
  pretrained.save(tmp_path / 'alone', network)
  with pytest.raises(UserError, match='keeps no sync expert to tune with: give one as sync_expert'):
    recipe.read_base(str(tmp_path / 'alone'), '')
  recipe.read_base(str(tmp_path / 'alone'), str(base_checkpoint / 'sync_expert'))


def test_interpolated_weights_and_statistics_lie_between():
  base = random_network('generator')
  base = dataclasses.replace(base, variables=jax.device_get(base.variables))
  tuned = dataclasses.replace(base, variables=jax.tree.map(lambda x: x + 2, base.variables), step=7)
  between = recipe.interpolated(base, tuned)
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(y, x + 2 * recipe.TUNED_SHARE, rtol=1e-5, atol=1e-5),
    base.variables,
    between.variables,
  )
  assert between.step == 7


def test_the_interpolated_network_replaces_that_of_a_shorter_run(base_checkpoint, tmp_path):
  base, kept = pretrained.load(base_checkpoint), tmp_path / 'checkpoint'
  pretrained.save(kept, dataclasses.replace(base, step=base.step - 1))
  recipe.save_interpolated(kept, base, base_checkpoint)
  assert [path.name for path in kept.iterdir() if path.name.isdigit()] == [str(base.step)]
  pretrained.load_expert_of(kept)
  assert (kept / 'MODEL_CARD.md').exists() and not kept.with_name('checkpoint.part').exists()
