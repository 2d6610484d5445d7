"""The audio-lip memory against NumPy, what each of its losses moves, and a generator that has one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lpips_jax.models import memory
from lpips_jax.models.memory import ADDRESSES, LIPS, AudioLipMemory, LipEncoder

RNG = np.random.default_rng(0)
SLOTS, WIDTH, WINDOWS, FRAMES = 6, 16, 2, 5
SMALL = {'slots': SLOTS, 'lip_widths': (WIDTH,) * 7, 'lip_residuals': (1, 0, 0, 0, 0), 'stem_kernel': 3}


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
  """A memory, its variables, speech and filmed frames."""
  module = AudioLipMemory(**SMALL)
  speech, frames = normal(WINDOWS * FRAMES, WIDTH), RNG.random((WINDOWS, 5, 32, 32, 3), np.float32)
  return module, jax.jit(module.init)(jax.random.key(0), speech, {LIPS: frames}), speech, frames


@pytest.fixture(scope='module')
def training(made):
  """Both codes and the losses, by parameters and speech."""
  module, _, _, frames = made

  @jax.jit
  def run(params, speech):
    codes, found = module.apply({'params': params}, speech, {LIPS: frames}, mutable=['losses'])
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
  np.testing.assert_allclose(memory.storing(lips, values), ((lips - seen @ values) ** 2).mean(-1), atol=1e-6)
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
  _, variables, speech, _ = made

  def moved(value):
    gradient, of_speech = jax.grad(value, (0, 1))(variables['params'], speech)
    parts = {name: any(leaf.any() for leaf in jax.tree.leaves(part)) for name, part in gradient.items()}
    return {name for name, moves in (parts | {'speech': bool(of_speech.any())}).items() if moves}

  middles = slice(FRAMES // 2, None, FRAMES)
  of_align = jax.grad(lambda speech: training(variables['params'], speech)[1]['align'].sum())(speech)
  assert not np.delete(of_align, np.arange(WINDOWS) * FRAMES + FRAMES // 2, axis=0).any() and of_align[middles].all()
  assert moved(lambda *x: training(*x)[1]['store'].sum()) == {'values'}
  assert moved(lambda *x: training(*x)[1]['align'].sum()) == {'keys', 'speech'}
  weights = normal(WINDOWS * FRAMES, WIDTH)
  by_key, by_value = (lambda *x, part=part: (weights * jnp.split(training(*x)[0], 2)[part]).sum() for part in range(2))
  assert moved(by_key) == {'code', 'keys', 'speech'}
  assert moved(by_value) == {'code', 'values', 'lip_encoder', 'speech'}


def test_the_codes_are_a_linear_map_of_what_is_recalled_beside_speech(made, training):
  module, variables, speech, frames = made
  params = jax.tree.map(np.asarray, variables['params'])
  keys, values = (params[name]['kernel'] for name in ('keys', 'values'))
  encoder = LipEncoder(SMALL['lip_widths'], SMALL['lip_residuals'], SMALL['stem_kernel'])
  lips = np.asarray(encoder.apply({'params': params['lip_encoder']}, frames))
  heard, seen = addresses_by_numpy(speech, keys), addresses_by_numpy(lips, values)
  recalled = heard @ values, np.repeat(seen @ values, FRAMES, axis=0)  # the frames of a window share their lips
  expected = [np.hstack([x, speech]) @ params['code']['kernel'] + params['code']['bias'] for x in recalled]
  codes, losses = training(variables['params'], speech)
  np.testing.assert_allclose(codes, np.vstack(expected), atol=1e-5)
  assert losses['store'].shape == losses['align'].shape == (WINDOWS,)
  np.testing.assert_allclose(module.apply(variables, speech, {}), expected[0], atol=1e-5)
  middles = heard[FRAMES // 2 :: FRAMES]
  np.testing.assert_allclose(losses['align'], (seen * np.log(seen / middles)).sum(-1), rtol=1e-4)


def test_a_given_mixture_takes_the_place_of_what_speech_finds(made):
  module, variables, speech, _ = made
  own = np.exp(memory.log_addresses(speech, variables['params']['keys']['kernel']))
  usual = module.apply(variables, speech, {})
  np.testing.assert_allclose(module.apply(variables, speech, {ADDRESSES: own}), usual, atol=1e-6)
  assert np.abs(module.apply(variables, speech, {ADDRESSES: own[::-1]}) - usual).max() > 1e-3


def test_lips_are_seen_in_the_lower_half_alone_and_one_window_at_a_time(made):
  _, variables, _, frames = made
  encoder = LipEncoder(SMALL['lip_widths'], SMALL['lip_residuals'], SMALL['stem_kernel'])
  encode = jax.jit(lambda frames: encoder.apply({'params': variables['params']['lip_encoder']}, frames))
  blind, alone = frames.copy(), encode(frames[:1])
  blind[:, :, :16] = 0
  np.testing.assert_array_equal(encode(blind), encode(frames))
  np.testing.assert_allclose(alone, encode(frames)[:1], atol=1e-5)
  assert np.abs(encode(frames[:, ::-1]) - encode(frames)).max() > 1e-3
