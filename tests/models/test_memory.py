"""The audio-lip memory against NumPy, what each of its losses moves, and a generator that has one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.models import memory
from lpips_jax.models.generator import Generator
from lpips_jax.models.initialise import init_variables
from lpips_jax.models.memory import LIPS, AudioLipMemory

RNG = np.random.default_rng(0)
SLOTS, WIDTH, WINDOWS, FRAMES = 6, 16, 2, 5


def normal(*shape):
  return RNG.standard_normal(shape).astype(np.float32)


def addresses_by_numpy(features, slots):
  features, slots = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in map(np.float64, (features, slots)))
  powers = np.exp(16 * features @ slots.T)
  return powers / powers.sum(-1, keepdims=True)


def mean_store(x, values):
  return memory.storing(x, values).mean()


@pytest.fixture(scope='module')
def made():
  """A memory, its variables, speech, and lips of windows."""
  speech, lips = normal(WINDOWS * FRAMES, WIDTH), normal(WINDOWS, WIDTH)
  module = AudioLipMemory(SLOTS)
  return module, jax.jit(module.init)(jax.random.key(0), speech), speech, lips


@pytest.fixture(scope='module')
def training(made):
  """Both codes and the losses, by parameters, speech and lips."""

  @jax.jit
  def run(params, speech, lips):
    codes, found = made[0].apply({'params': params}, speech, lips, mutable=['losses'])
    return codes, {name: values[0] for name, values in found['losses'].items()}

  return run


def test_addresses_and_recall_are_those_of_numpy():
  features, slots, values = normal(4, WIDTH), normal(SLOTS, WIDTH), normal(SLOTS, WIDTH)
  expected = addresses_by_numpy(features, slots)
  found = np.exp(memory.log_addresses(features, slots))
  np.testing.assert_allclose(found, expected, atol=1e-6)
  np.testing.assert_allclose(memory.recall(found, values), expected @ values, atol=1e-6)


def test_the_losses_are_those_of_numpy():
  lips, values, speech, keys = normal(4, WIDTH), normal(SLOTS, WIDTH), normal(4, WIDTH), normal(SLOTS, WIDTH)
  seen, heard = addresses_by_numpy(lips, values), addresses_by_numpy(speech, keys)
  np.testing.assert_allclose(memory.storing(lips, values), ((lips - seen @ values) ** 2).sum(-1), rtol=1e-6)
  divergence = memory.aligning(*(memory.log_addresses(*pair) for pair in ((lips, values), (speech, keys))))
  np.testing.assert_allclose(divergence, (seen * np.log(seen / heard)).sum(-1), rtol=1e-6)


def test_storing_moves_values_as_finite_differences_do_and_no_lips():
  lips, values = normal(3, WIDTH), normal(SLOTS, WIDTH)
  of_lips, of_values = jax.grad(mean_store, (0, 1))(lips, values)
  assert not of_lips.any()
  direction = normal(SLOTS, WIDTH)
  step = 1e-2
  change = (mean_store(lips, values + step * direction) - mean_store(lips, values - step * direction)) / (2 * step)
  np.testing.assert_allclose((of_values * direction).sum(), change, rtol=1e-2)


def test_aligning_moves_the_addresses_of_speech_alone():
  seen, heard = (jax.nn.log_softmax(normal(3, SLOTS)) for _ in range(2))
  of_seen, of_heard = jax.grad(lambda *x: memory.aligning(*x).sum(), (0, 1))(seen, heard)
  assert not of_seen.any()
  np.testing.assert_allclose(of_heard, -np.exp(seen), atol=1e-6)


def test_each_loss_has_its_part_to_move(made, training):
  _, variables, speech, lips = made

  def moved(value):
    gradient, *of_inputs = jax.grad(value, (0, 1, 2))(variables['params'], speech, lips)
    parts = gradient | dict(zip(('speech', 'lips'), of_inputs, strict=True))
    return {name for name, part in parts.items() if any(leaf.any() for leaf in jax.tree.leaves(part))}

  assert moved(lambda *x: training(*x)[1]['store'].sum()) == {'values'}
  assert moved(lambda *x: training(*x)[1]['align'].sum()) == {'keys', 'speech'}
  weights = normal(WINDOWS * FRAMES, WIDTH)
  by_speech, by_lips = (
    lambda *x, part=part: (weights * jnp.split(training(*x)[0], 2)[part]).sum() for part in range(2)
  )
  assert moved(by_speech) == {'code', 'keys', 'speech'}
  assert moved(by_lips) == {'code', 'lips', 'speech'}


def test_only_the_middle_frame_is_aligned(made, training):
  _, variables, speech, lips = made
  gradient = jax.grad(lambda speech: training(variables['params'], speech, lips)[1]['align'].sum())(speech)
  middle = np.arange(len(speech)) % FRAMES == FRAMES // 2
  assert gradient[middle].any(1).all() and not gradient[~middle].any()


def test_the_codes_are_a_linear_map_of_lips_beside_speech(made, training):
  module, variables, speech, lips = made
  params = jax.tree.map(np.asarray, variables['params'])
  keys, values = (params[name]['kernel'] for name in ('keys', 'values'))
  heard, seen = addresses_by_numpy(speech, keys), addresses_by_numpy(lips, values)
  beside = heard @ values, np.repeat(lips, FRAMES, axis=0)  # the frames of a window share their lips
  expected = [np.hstack([WIDTH**0.5 * x, speech]) @ params['code']['kernel'] + params['code']['bias'] for x in beside]
  codes, losses = training(variables['params'], speech, lips)
  np.testing.assert_allclose(codes, np.vstack(expected), atol=1e-5)
  np.testing.assert_allclose(module.apply(variables, speech), expected[0], atol=1e-5)
  np.testing.assert_allclose(losses['store'], ((lips - seen @ values) ** 2).sum(-1), rtol=1e-5)
  middles = heard[FRAMES // 2 :: FRAMES]
  np.testing.assert_allclose(losses['align'], (seen * np.log(seen / middles)).sum(-1), rtol=1e-4)


def test_a_given_mixture_takes_the_place_of_what_speech_finds(made):
  module, variables, speech, _ = made
  own = np.exp(memory.log_addresses(speech, variables['params']['keys']['kernel']))
  usual = module.apply(variables, speech)
  np.testing.assert_allclose(module.apply(variables, speech, None, own), usual, atol=1e-6)
  assert np.abs(module.apply(variables, speech, None, own[::-1]) - usual).max() > 1e-3


# ---- a generator that has one

TINY = {'widths': (4, 8), 'blocks': 0, 'bottleneck': 1, 'audio_widths': (WIDTH,) * 5, 'audio_residuals': (0,) * 4}


@pytest.fixture(scope='module')
def generator():
  """A generator with a memory, its variables, faces, speech, and lips of windows."""
  module = Generator(**TINY, stem_kernel=3, fusion='concat', speech='phones', memory_slots=SLOTS)
  n = WINDOWS * FRAMES
  faces, speech = RNG.random((n, 16, 16, 6), np.float32), RNG.random((n, 80, 16), np.float32)
  variables = jax.jit(module.init)(jax.random.key(0), faces[:1], speech[:1])
  return module, variables, faces, speech, normal(WINDOWS, WIDTH)


def test_a_generator_without_a_memory_has_all_but_the_memory(generator):
  module, variables, faces, speech, _ = generator
  plain = jax.eval_shape(module.clone(memory_slots=0).init, jax.random.key(0), faces[:1], speech[:1])
  assert set(variables['params']) - set(plain['params']) == {'memory'}
  rest = {name: variables['params'][name] for name in plain['params']}
  assert jax.tree.map(jnp.shape, rest) == jax.tree.map(jnp.shape, plain['params'])
  assert set(variables) == set(plain) == {'params', 'batch_stats'}
  assert module.training_inputs == (LIPS,) and module.clone(memory_slots=0).training_inputs == ()


def test_in_training_a_generator_draws_both_codes(generator):
  module, variables, faces, speech, lips = generator
  images, found = jax.jit(lambda: module.apply(variables, faces, speech, beside={LIPS: lips}, mutable=['losses']))()
  assert images.shape == (2 * len(faces), 16, 16, 3)
  by_speech, by_lips = np.split(images, 2)
  np.testing.assert_allclose(by_speech, jax.jit(module.apply)(variables, faces, speech), atol=1e-5)
  assert np.abs(by_lips - by_speech).max() > 1e-4
  assert set(found['losses']['memory']) == {'store', 'align'}


def test_a_trained_memory_can_be_looked_into(generator):
  module, variables, faces, speech, _ = generator
  addresses = memory.addresses_of(module, variables, speech)
  assert addresses.shape == (len(speech), SLOTS)
  np.testing.assert_allclose(addresses.sum(1), 1, atol=1e-5)
  usual = jax.jit(module.apply)(variables, faces, speech)
  np.testing.assert_allclose(memory.draw_mixtures(module, variables, faces, speech, addresses), usual, atol=1e-5)
  other = memory.draw_mixtures(module, variables, faces, speech, addresses[:, ::-1])
  assert np.abs(other - usual).max() > 1e-4


def test_a_run_has_slots_of_its_own():
  config = ConfigDict({'name': 'attn_wav2lip', 'image_size': 16, **TINY, 'memory_slots': SLOTS})
  drawn = [init_variables(models.build(config), config, seed)['params']['memory'] for seed in (0, 1)]
  for name in ('keys', 'values'):
    assert (drawn[0][name]['kernel'] != drawn[1][name]['kernel']).all()
