"""The tasks that a config asks for: their networks, and the variables that they start with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import tiny_config

from lpips_jax import models
from lpips_jax.core.errors import UserError
from lpips_jax.models.initialise import init_variables
from lpips_jax.training import generator_step
from lpips_jax.training.frozen import Frozen
from lpips_jax.training.tasks import make_task


@pytest.fixture
def config(tmp_path):
  config = tiny_config('generator', tmp_path)
  config.losses.update(perceptual=0.0, adversarial=0.1)
  return config


@pytest.fixture
def frozen(tmp_path):
  of_expert = tiny_config('sync_expert', tmp_path).model
  expert = models.build(of_expert)
  return Frozen({'sync_expert': expert}, {'sync_expert': init_variables(expert, of_expert, 1), 'lpips': None})


def test_the_discriminator_computes_in_what_the_generator_computes_in(config, frozen, monkeypatch):
  config.model.dtype = 'bfloat16'
  seen = []
  monkeypatch.setattr(generator_step, 'make_step', lambda networks, *rest: seen.append(networks))
  make_task(config, frozen)
  assert seen[0].discriminator.dtype == seen[0].generator.dtype == jnp.bfloat16


def test_there_is_a_discriminator_only_with_its_loss(config, frozen):
  config.audio_encoder_from_expert = False
  assert jax.eval_shape(make_task(config, frozen).init).adversary is not None
  config.losses.adversarial = 0.0
  assert jax.eval_shape(make_task(config, frozen).init).adversary is None


@pytest.fixture
def experts_encoder(config, frozen):
  """Has the generator start from the expert's speech encoder, of the same shape; returns that encoder's parameters."""
  config.audio_encoder_from_expert = True
  config.model.speech = frozen.modules['sync_expert'].speech
  return frozen.variables['sync_expert']['params']['audio_encoder']


def test_the_speech_encoder_may_come_from_the_expert(config, frozen, experts_encoder):
  own = make_task(config, frozen).init().variables['params']['audio_encoder']
  for name in own.keys() - {'head'}:
    jax.tree.map(np.testing.assert_array_equal, own[name], experts_encoder[name])
  drawn = init_variables(models.build(config.model), config.model, config.seed)['params']['audio_encoder']
  assert any(not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(drawn), strict=True))


def test_an_expert_of_other_widths_is_refused(config, frozen, experts_encoder):
  config.model.audio_widths = (4, 4, 8, 8, 12)
  with pytest.raises(UserError, match='give both the same audio_widths'):
    make_task(config, frozen).init()


def test_an_expert_of_more_layers_is_refused(config, frozen, experts_encoder):
  frozen.variables['sync_expert']['params']['audio_encoder']['another'] = {'kernel': jnp.zeros(1)}
  with pytest.raises(UserError, match='the expert has another, the generator does not: give both the same'):
    make_task(config, frozen).init()
