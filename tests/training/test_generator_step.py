"""The generator's step: how its losses are weighed, and what generator and discriminator learn from each other."""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from runs import tiny_config

from lpips_jax import losses, models, perceptual
from lpips_jax.models import SyncExpert
from lpips_jax.models.initialise import init_variables
from lpips_jax.training import generator_losses
from lpips_jax.training.frozen import Frozen
from lpips_jax.training.generator_losses import TERMS, loss_coefficients
from lpips_jax.training.generator_step import discriminator_loss, replaced_share
from lpips_jax.training.state import CLOSED
from lpips_jax.training.tasks import make_task

RNG = np.random.default_rng(0)
BATCH = {
  'target': RNG.integers(256, size=(4, 5, 32, 32, 3), dtype=np.uint8),
  'reference': RNG.integers(256, size=(4, 5, 32, 32, 3), dtype=np.uint8),
  'mel': RNG.standard_normal((4, 5, 80, 16), np.float32),
  'window_mel': RNG.standard_normal((4, 80, 16), np.float32),
  'window_phones': RNG.standard_normal((4, 80, 16), np.float32),
}


def gan_config(**of_losses: float) -> ConfigDict:
  config = tiny_config('generator', Path('unused'))
  config.audio_encoder_from_expert = False
  config.losses.update(perceptual=0.0, adversarial=0.1)  # VGG takes longest to compile
  config.losses.update(**of_losses)
  config.data.batch_size = 4
  config.optimizer.update(weight_decay=0.0, warmup_steps=0)
  return config


@cache
def frozen() -> Frozen:
  of_expert = tiny_config('sync_expert', Path('unused')).model
  expert = models.build(of_expert)
  variables = {'sync_expert': init_variables(expert, of_expert, 0), 'lpips': perceptual.random_weights(0, 1 / 16)}
  return Frozen({'sync_expert': expert}, variables)


def steps(config: ConfigDict, count: int):
  """The states before, between and after some steps, and the metrics of each step."""
  task = make_task(config, frozen())
  step, states, metrics = jax.jit(task.step), [task.init()], []
  for _ in range(count):
    state, of_step = step(states[-1], BATCH, frozen().variables)
    states.append(state)
    metrics.append({name: float(value) for name, value in of_step.items()})
  return states, metrics


def duel_config() -> ConfigDict:
  """Generator and discriminator alone with each other; the generator waits for two steps."""
  return gan_config(reconstruction=0.0, lower_half=0.0, sync=0.0, adversarial_start=2)


@cache
def duel():
  return steps(duel_config(), 20)


def moved(before, after) -> list[bool]:
  return [not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)]


@pytest.mark.slow
def test_evaluation_is_of_each_window_alone_with_its_own_speech_over_whole_frames():
  config = gan_config(adversarial=0.0)
  task, model = make_task(config, frozen()), models.build(config.model)
  variables = task.init().variables
  metrics, _ = jax.jit(task.evaluate)(variables, BATCH, frozen().variables)
  errors, squares, improbable = [], [], []
  for k in range(4):  # one by one: with BatchNorm's running statistics windows know nothing of each other
    target, reference = (np.float32(BATCH[name][k]) / 255 for name in ('target', 'reference'))
    masked = np.where(np.arange(32)[:, None, None] < 16, target, 0)
    generated = model.apply(variables, np.concatenate([masked, reference], -1), BATCH['mel'][k])
    errors.append(np.abs(generated - target).mean())
    squares += np.square(generated - target)[:, 16:].mean((1, 2, 3)).tolist()
    expert, variables_of_expert = frozen().modules['sync_expert'], frozen().variables['sync_expert']
    faces, speech = expert.apply(variables_of_expert, generated[None], BATCH['window_mel'][k, None])
    logit = expert.apply(variables_of_expert, (faces * speech).sum(), method=SyncExpert.logits)
    improbable.append(np.log1p(np.exp(-float(logit))))
  np.testing.assert_allclose(metrics['reconstruction'], np.mean(errors), rtol=1e-4)
  np.testing.assert_allclose(metrics['lower_half_psnr'], np.mean(-10 * np.log10(squares)), rtol=1e-4)
  np.testing.assert_allclose(metrics['sync'], np.mean(improbable), rtol=1e-4)
  assert np.ptp(improbable) > 1e-3 * np.mean(improbable)


PLAIN_TERMS = {name for name, term in TERMS.items() if set(term.networks) <= frozen().variables.keys()}
# Those of generators with a memory, and of those that are taught by more than pictures.
PLAIN_TERMS -= {'store', 'align', 'pseudo_audio', 'landmarks'}


@pytest.mark.parametrize('sync_kind', ['log', 'stabilised'])
def test_every_metric_is_one_number(sync_kind):
  config = gan_config(r1=1.0, **dict.fromkeys(PLAIN_TERMS, 0.5))
  config.losses.sync_kind = sync_kind
  task = make_task(config, frozen())
  state = jax.eval_shape(task.init)
  _, trained = jax.eval_shape(task.step, state, BATCH, frozen().variables)
  evaluated, _ = jax.eval_shape(task.evaluate, state.variables, BATCH, frozen().variables)
  assert {'loss', *PLAIN_TERMS} <= trained.keys()  # a coefficient without a term would do nothing
  assert {'loss', *PLAIN_TERMS} - {'adversarial'} <= evaluated.keys()
  assert {name: value.shape for name, value in (trained | evaluated).items() if value.shape} == {}


def test_lpips_is_given_frames_from_minus_1_to_1(monkeypatch):
  config = gan_config(adversarial=0.0, perceptual=1.0)
  task = make_task(config, frozen())
  monkeypatch.setattr(generator_losses, 'lpips', lambda x, y, weights, dtype: y.mean((1, 2, 3)))
  metrics, _ = jax.jit(task.evaluate)(task.init().variables, BATCH, frozen().variables)
  np.testing.assert_allclose(metrics['perceptual'], 2 * BATCH['target'].mean() / 255 - 1, rtol=1e-3)


def test_the_triplet_loss_is_given_lower_halves_from_minus_1_to_1(monkeypatch):
  task = make_task(gan_config(adversarial=0.0, triplet=1.0), frozen())
  monkeypatch.setattr(generator_losses, 'features', lambda x, name, weights, dtype: x)
  monkeypatch.setattr(losses, 'adaptive_triplet', lambda x, y, z: y.mean((1, 2, 3)) + 10 * z.mean((1, 2, 3)))
  metrics, _ = jax.jit(task.evaluate)(task.init().variables, BATCH, frozen().variables)
  target, reference = (2 * BATCH[name][:, :, 16:].mean() / 255 - 1 for name in ('target', 'reference'))
  np.testing.assert_allclose(metrics['triplet'], target + 10 * reference, rtol=1e-3)


@pytest.mark.parametrize('speech', ['mel', 'phones'])
def test_an_expert_hears_what_it_was_trained_on(speech):
  config = gan_config(adversarial=0.0)
  of_expert = ConfigDict(tiny_config('sync_expert', Path('unused')).model.to_dict() | {'speech': speech})
  expert = models.build(of_expert)
  variables = frozen().variables | {'sync_expert': init_variables(expert, of_expert, 0)}
  task = make_task(config, Frozen({'sync_expert': expert}, variables))
  state, evaluate = task.init(), jax.jit(task.evaluate)

  def sync(**changes):
    return float(evaluate(state.variables, BATCH | changes, variables)[0]['sync'])

  other = RNG.standard_normal((4, 80, 16), np.float32)
  assert (sync(window_mel=other) != sync()) == (speech == 'mel')
  assert (sync(window_phones=other) != sync()) == (speech == 'phones')


def test_coefficients_rise_and_wait_as_configured():
  config = ConfigDict(dict.fromkeys(TERMS, 0.0))
  config.update(reconstruction=1.0, perceptual=2.0, sync=0.5, adversarial=0.1, sync_kind='log')
  config.update(adversarial_start=10, warmup_steps={'perceptual': 4, 'sync': 2, 'adversarial': 5})

  def coefficients(step, opened=CLOSED):
    found = loss_coefficients(config, jnp.array(step), {'sync': jnp.array(opened)})
    return {name: round(float(coefficient), 6) for name, coefficient in found.items()}

  assert coefficients(0) == {'reconstruction': 1.0, 'perceptual': 0.5, 'sync': 0.0, 'adversarial': 0.0}
  assert coefficients(100)['sync'] == 0.0
  assert coefficients(100, opened=100)['sync'] == 0.25 and coefficients(101, opened=100)['sync'] == 0.5
  assert [coefficients(step)['adversarial'] for step in (9, 10, 99)] == [0.0, 0.02, 0.1]


@pytest.mark.slow
def test_while_the_adversary_waits_only_the_discriminator_learns():
  (before, _, after, *_), _ = duel()
  assert not any(moved(before.variables['params'], after.variables['params']))
  assert all(moved(before.adversary.params, after.adversary.params))


def test_then_both_learn_from_each_other():
  (_, _, before, *_, after), metrics = duel()
  assert any(moved(before.variables['params'], after.variables['params']))
  assert all(moved(before.adversary.params, after.adversary.params))
  assert metrics[-1]['discriminator'] < metrics[0]['discriminator'] - 0.02
  assert 'perceptual' not in metrics[0]  # of no weight, and not computed
  assert metrics[0]['gradient_norm'] == 0 < metrics[0]['discriminator_gradient_norm']  # each its own, while one waits


@pytest.mark.slow
def test_accumulated_and_rematerialised_a_step_is_much_the_same():
  _, plain = duel()
  config = duel_config()
  config.remat = True
  config.accumulate = 2  # BatchNorm then sees halves of the batch
  (_, after), parts = steps(config, 1)
  assert int(after.step) == 1
  for name in ('adversarial', 'discriminator', 'reconstruction', 'sync'):
    np.testing.assert_allclose(plain[0][name], parts[0][name], rtol=0.05)


@pytest.mark.slow
def test_r1_is_added_to_the_discriminators_loss():
  config = gan_config()
  discriminator = models.build(config.discriminator)
  params = init_variables(discriminator, config.discriminator, 0, gain=5.0)['params']
  filmed, generated = np.random.default_rng(0).random((2, 3, 32, 32, 3), np.float32)

  def loss():
    return discriminator_loss(discriminator, config.losses, params, filmed, generated)

  plain = loss()
  config.losses.r1 = 10.0
  slope = [jax.grad(lambda x: discriminator.apply({'params': params}, x[None])[0])(x) for x in filmed]
  expected = plain + 5.0 * np.mean([np.square(x).sum() for x in slope])
  assert expected > 1.01 * plain
  np.testing.assert_allclose(loss(), expected, rtol=1e-5)


def test_wav2lip_trains_under_the_same_losses():
  config = gan_config(perceptual=1.0)
  config.model = ConfigDict({'name': 'wav2lip', 'image_size': 96, 'dtype': 'float32'})
  task = make_task(config, frozen())
  batch = {
    name: jax.ShapeDtypeStruct((*x.shape[:2], 96, 96, 3) if x.dtype == np.uint8 else x.shape, x.dtype)
    for name, x in BATCH.items()
  }
  state = jax.eval_shape(task.init)
  after, metrics = jax.eval_shape(task.step, state, batch, frozen().variables)
  assert jax.tree.structure(after) == jax.tree.structure(state)
  assert {'reconstruction', 'perceptual', 'sync', 'adversarial', 'loss'} <= metrics.keys()


def test_visemes_replace_sound_from_a_tenth_of_the_run_to_seven_tenths():
  steps = np.arange(0, 1001, 50)
  expected = np.clip((steps / 1000 - 0.1) / 0.6, 0, 1)
  np.testing.assert_allclose([replaced_share(int(step), 1000) for step in steps], expected, atol=1e-6)


@pytest.mark.slow
def test_a_generator_of_visemes_is_taught_by_sound_in_training_alone():
  config = gan_config(adversarial=0.0, pseudo_audio=0.1, landmarks=0.1)
  # Warping starts from nothing, and its first gradient reaches no encoder.
  config.model.update(speech='visemes', taught_by_sound=True, output='image', landmarks=5)
  config.steps = 100  # at the second, all windows still hear sound
  task = make_task(config, frozen())
  state, step, batch = task.init(), jax.jit(task.step), BATCH | {'heard_mel': BATCH['mel'] + 1}
  batch['gestures'] = np.ones((*batch['mel'].shape[:2], 5), np.float32)
  waited, _ = step(state, batch, frozen().variables)  # at a rate of 0
  after, metrics = step(waited, batch, frozen().variables)
  assert metrics['pseudo_audio'] > 0 and metrics['landmarks'] > 0 and np.isfinite(metrics['loss'])
  before, now = (each.variables['params'] for each in (state, after))
  assert all(any(moved(before[name], now[name])) for name in ('audio_encoder', 'viseme_encoder', 'landmarks_head'))
  late = step(state.replace(step=jnp.asarray(config.steps)), batch, frozen().variables)[0].variables['params']
  assert not any(moved(before['audio_encoder'], late['audio_encoder']))  # visemes have replaced all sound
  evaluated, _ = jax.jit(task.evaluate)(after.variables, BATCH, frozen().variables)
  assert not {'pseudo_audio', 'landmarks'} & set(evaluated)
