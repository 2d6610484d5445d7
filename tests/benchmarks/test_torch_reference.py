"""The PyTorch that we are measured against does the same work: outputs, losses, gradients, updates."""

import copy
from functools import partial

import jax
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

torch = pytest.importorskip('torch')

from benchmarks import train_step
from benchmarks.random_weights import with_statistics
from benchmarks.torch_reference import inference, losses, networks, recipes, released, steps, weights
from lpips_jax import losses as our_losses
from lpips_jax import models, perceptual
from lpips_jax.models.initialise import init_variables
from lpips_jax.models.inputs import generator_faces
from lpips_jax.training.tasks import make_task

RNG = np.random.default_rng(0)
EAGER = recipes.recipe('eager_float32', 'cpu')
UPDATES = 3  # the first is at a learning rate of zero


def uniform(*shape, low=0.0, high=1.0):
  return RNG.uniform(low, high, shape).astype(np.float32)


def noise(*shape):
  return RNG.integers(256, size=shape, dtype=np.uint8)


def first_channels(x):
  """(n, h, w, c) -> (n, c, h, w)."""
  return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def both(name, **fields):
  """Our module with random variables and statistics, and PyTorch's with the same, in evaluation."""
  config = ConfigDict({'name': name, 'image_size': 32, 'dtype': 'float32', **fields})
  module = models.build(config)
  variables = init_variables(module, config, 0)
  if 'batch_stats' in variables:
    variables = with_statistics(variables)
  return module, variables, weights.load(networks.build(config), variables).eval()


def quickly_compiled(function, *inputs):
  """XLA in a hurry: programs that run once here."""
  lowered = jax.jit(function).lower(*inputs)
  try:
    return lowered.compile({'xla_backend_optimization_level': 0, 'xla_cpu_use_fusion_emitters': False})
  except Exception:  # a version of XLA that has other options
    return lowered.compile()


def apply(module, variables, *inputs, **options):
  inputs = variables, *map(np.asarray, inputs)
  return quickly_compiled(lambda v, *x: module.apply(v, *x, **options), *inputs)(*inputs)


AUDIO = {'audio_widths': (4, 4, 8, 8, 8), 'audio_residuals': (1, 0, 0, 1)}


@pytest.fixture
def generator():
  return both('attn_wav2lip', widths=(8, 8, 16), blocks=1, bottleneck=1, **AUDIO)


def test_generator_gives_the_same_images_folded_or_not(generator):
  module, variables, theirs = generator
  crops, references, mels = noise(2, 16, 24, 3), noise(2, 16, 24, 3), uniform(2, 80, 16, low=-4, high=4)
  expected = apply(module, variables, generator_faces(crops, references), mels)
  assert np.asarray(expected).std() > 0.01
  for row in ('released_recipe', 'eager_float32'):  # the first leaves the module as it is
    generate = inference.make_generate(theirs, recipes.recipe(row, 'cpu'))
    found = generate(*map(torch.from_numpy, (crops, references, mels)))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in theirs.modules()) == (row == 'released_recipe')


@torch.no_grad()
@pytest.mark.parametrize('contrastive', [False, True])
def test_expert_gives_the_same_embeddings_and_log_odds(contrastive):
  module, variables, theirs = both(
    'sync_expert',
    face_widths=(4, 4, 4, 8, 8, 8, 8),
    face_residuals=(1, 0, 1, 0, 0),
    contrastive=contrastive,
    stem_kernel=3,
    **AUDIO,
  )
  frames, mels = uniform(3, 5, 48, 48, 3), uniform(3, 80, 16, low=-4, high=4)  # larger than it sees: resized
  faces, speech = apply(module, variables, frames, mels)
  mouths = steps.windows(steps.lower_half_at(first_channels(frames.reshape(15, 48, 48, 3)), 32), 5)
  of_speech, of_faces = theirs(torch.from_numpy(mels)[:, None], mouths)
  np.testing.assert_allclose(of_faces, faces, atol=2e-5)
  np.testing.assert_allclose(of_speech, speech, atol=2e-5)
  cosine = uniform(7, low=-1)
  logits = apply(module, variables, cosine, method='logits')
  np.testing.assert_allclose(theirs.logits(torch.from_numpy(cosine)), logits, rtol=1e-4)


@torch.no_grad()
def test_discriminator_gives_the_same_log_odds():
  module, variables, theirs = both('discriminator', widths=(2, 4, 4, 4, 4, 4, 4))
  frames = uniform(3, 32, 32, 3)
  expected = apply(module, variables, frames)
  np.testing.assert_allclose(theirs(steps.lower_half(first_channels(frames))), expected, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_lpips_gives_the_same_distance():
  ours = perceptual.random_weights(0, 1 / 16)
  theirs = weights.load(released.Lpips(1 / 16), ours)
  x, y = uniform(2, 32, 32, 3, low=-1), uniform(2, 32, 32, 3, low=-1)
  expected = quickly_compiled(perceptual.lpips, x, y, ours)(x, y, ours)
  assert float(expected.min()) > 0.1
  np.testing.assert_allclose(theirs(first_channels(x), first_channels(y)), expected, rtol=1e-4)


def test_losses_of_pairs():
  logits = uniform(6, 6, low=-3, high=3)
  clip, start = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 9, 4, 4, 5])  # the second clip has no negatives
  pairs = logits, clip, start
  theirs = tuple(map(torch.from_numpy, pairs))

  def ours(*pairs):
    one_by_one = our_losses.contrastive(*pairs, 3), our_losses.balanced_bce(*pairs, 3, 0.7)
    return *one_by_one, our_losses.trust(pairs[0], 3, 1.0)

  found = losses.contrastive(*theirs, 3), losses.balanced_bce(*theirs, 3, 0.7), losses.trust(theirs[0], 3, 1.0)
  for a, b in zip(found, quickly_compiled(ours, *pairs)(*pairs), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_losses_of_adversaries():
  filmed, generated = uniform(5, low=-2, high=2), uniform(5, low=-2, high=2)
  theirs = torch.from_numpy(filmed), torch.from_numpy(generated)
  for kind in ('bce', 'hinge'):
    expected = our_losses.discrimination(filmed, generated, kind), our_losses.adversarial(generated, kind)
    found = losses.discrimination(*theirs, kind), losses.adversarial(theirs[1], kind)
    for a, b in zip(found, expected, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-5)
  np.testing.assert_allclose(losses.sync(100 * theirs[0]), our_losses.sync(100 * filmed), rtol=1e-5, atol=1e-6)


def test_weights_that_do_not_fit_are_refused():
  ours = perceptual.random_weights(0, 1 / 16)
  with pytest.raises(ValueError, match='does not go into'):
    weights.load(released.Lpips(1 / 8), ours)
  layer = {'kernel': np.zeros((1, 1, 4, 2))}
  with pytest.raises(ValueError, match='no weights for bias'):
    weights.load(torch.nn.Conv2d(4, 2, 1), {'params': layer})


@pytest.mark.parametrize('task', ['sync_expert', 'generator_gan'])
def test_training_takes_the_same_steps(task):
  trained = train_step.Trained(task, 3, tiny=True)
  config = trained.config()
  config.optimizer.weight_decay = 0.1
  config.seed = 1  # of weights for which nothing is so near a kink that rounding decides its side
  batch = train_step.make_batch(config)

  frozen = train_step.make_frozen(config, trained.expert_config().model)
  ours = make_task(config, frozen)
  state = ours.init()
  state = state.replace(sync_opened=state.step)
  take_step = quickly_compiled(ours.step, state, batch, frozen.weights)
  variables = {'variables': state.variables, **frozen.weights}
  if state.adversary:
    variables['discriminator'] = {'params': state.adversary.params}
  their_step, network, average, discriminator = train_step.make_reference_step(trained, config, variables, EAGER)
  gradients = recorded_gradients(network)
  before = {name: x.detach().clone() for name, x in network.named_parameters()}
  tensors = {name: torch.from_numpy(x) for name, x in batch.items()}
  for update in range(UPDATES):
    state, expected = take_step(state, batch, frozen.weights)
    found = their_step(tensors)
    assert found.keys() == expected.keys() - {'learning_rate', 'sync_open'}
    for name, value in found.items():
      np.testing.assert_allclose(value, expected[name], rtol=2e-3, atol=1e-5, err_msg=f'{name}, {update}')
    if update == 0:
      assert_same_gradient(gradients, state, config, network)

  assert_moved_alike(network, state.variables, before)
  assert_moved_alike(average, state.average, before)
  if discriminator:
    assert_close(discriminator, {'params': state.adversary.params}, 1e-3)
  else:
    assert state.adversary is None


def recorded_gradients(network):
  """The gradients of the first backward pass, as they come: by name."""
  gradients = {}

  def note(name, gradient):
    gradients.setdefault(name, gradient.clone())

  for name, parameter in network.named_parameters():
    parameter.register_hook(partial(note, name))
  return gradients


def assert_same_gradient(gradients, state, config, network):
  """Ours is what Adam's first moment is made of, once what clipping took is given back."""
  [adam] = (
    x
    for x in jax.tree.leaves(state.optimizer, is_leaf=lambda x: isinstance(x, optax.ScaleByAdamState))
    if isinstance(x, optax.ScaleByAdamState)
  )
  leaves, structure = jax.tree.flatten(state.variables['params'])  # of which the optimiser makes one vector
  flat = np.split(np.asarray(adam.mu), np.cumsum([x.size for x in leaves])[:-1])
  arrays = [x.reshape(leaf.shape) for x, leaf in zip(flat, leaves, strict=True)]
  ours = weights.load(copy.deepcopy(network), {'params': jax.tree.unflatten(structure, arrays)})
  norm = torch.cat([x.flatten() for x in gradients.values()]).norm()
  scale = (1 - config.optimizer.b1) * min(1, config.optimizer.clip_norm / norm)
  names, expected = zip(*((name, x.detach() / scale) for name, x in ours.named_parameters()), strict=True)
  error = torch.cat([(gradients[name] - x).flatten() for name, x in zip(names, expected, strict=True)]).norm()
  assert error / torch.cat([x.flatten() for x in expected]).norm() < 1e-3


def assert_moved_alike(network, variables, before):
  """Adam makes steps of one size of gradients that are nothing but rounding: so the whole of the way is compared."""
  expected = dict(weights.load(copy.deepcopy(network), variables).named_parameters())
  moved = torch.cat([(expected[name] - x).flatten() for name, x in before.items()]).norm()
  apart = torch.cat([(expected[name] - x).flatten() for name, x in network.named_parameters()]).norm()
  assert moved > 0 and apart / moved < 0.05


def assert_close(network, variables, tolerance):
  for name, x in weights.load(copy.deepcopy(network), variables).named_parameters():
    np.testing.assert_allclose(network.get_parameter(name).detach(), x.detach(), atol=tolerance, err_msg=name)


def test_every_recipe_is_one():
  for name in ('released_recipe', 'eager_float32', 'eager_bf16', 'compiled_float32', 'compiled_bf16'):
    recipe = recipes.recipe(name, 'cpu')
    assert (recipe.bf16, recipe.compiled) == ('bf16' in name, 'compiled' in name)
    assert recipe.tuned == (name != 'released_recipe')
