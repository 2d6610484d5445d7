"""PyTorch's training steps do the same work as ours: losses, gradients and updates agree."""

import copy
import dataclasses
from functools import partial

import jax
import numpy as np
import optax
import pytest

torch = pytest.importorskip('torch')

from beside_torch import quickly_compiled

from benchmarks.random_weights import frozen_networks
from benchmarks.speed import train_step
from benchmarks.torch_reference import recipes, weights
from lpips_jax.training.tasks import make_task

EAGER = recipes.recipe('eager_float32', 'cpu')
UPDATES = 3  # the first is at a learning rate of zero


@pytest.mark.parametrize('task', ['sync_expert', pytest.param('generator_gan', marks=pytest.mark.slow)])
def test_training_takes_the_same_steps(task):
  trained = train_step.Trained(task, 3, tiny=True)
  config = trained.config()
  config.optimizer.weight_decay = 0.1
  config.seed = 1  # with these weights no activation is so near a kink that rounding decides its side
  batch = train_step.make_batch(config)

  frozen = frozen_networks(config, sync_expert=trained.expert_config().model)
  ours = make_task(config, frozen)
  state = ours.init()
  state = dataclasses.replace(state, opened={'sync': state.step})
  take_step = quickly_compiled(ours.step, state, batch, frozen.variables)
  variables = {'variables': state.variables, **frozen.variables}
  if state.adversary:
    variables['discriminator'] = {'params': state.adversary.params}
  their_step, network, average, discriminator = train_step.make_reference_step(trained, config, variables, EAGER)
  gradients = recorded_gradients(network)
  before = {name: x.detach().clone() for name, x in network.named_parameters()}
  tensors = {name: torch.from_numpy(x) for name, x in batch.items()}
  for update in range(UPDATES):
    state, expected = take_step(state, batch, frozen.variables)
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
  """Returns a dict that receives the gradients of the first backward pass, by name."""
  gradients = {}

  def note(name, gradient):
    gradients.setdefault(name, gradient.clone())

  for name, parameter in network.named_parameters():
    parameter.register_hook(partial(note, name))
  return gradients


def assert_same_gradient(gradients, state, config, network):
  """Our gradient is Adam's first moment over its factor, with the clipping undone."""
  [adam] = (
    x
    for x in jax.tree.leaves(state.optimizer, is_leaf=lambda x: isinstance(x, optax.ScaleByAdamState))
    if isinstance(x, optax.ScaleByAdamState)
  )
  leaves, structure = jax.tree.flatten(state.variables['params'])  # the optimiser keeps them as one vector
  flat = np.split(np.asarray(adam.mu), np.cumsum([x.size for x in leaves])[:-1])
  arrays = [x.reshape(leaf.shape) for x, leaf in zip(flat, leaves, strict=True)]
  ours = weights.load(copy.deepcopy(network), {'params': jax.tree.unflatten(structure, arrays)})
  norm = torch.cat([x.flatten() for x in gradients.values()]).norm()
  scale = (1 - config.optimizer.b1) * min(1, config.optimizer.clip_norm / norm)
  names, expected = zip(*((name, x.detach() / scale) for name, x in ours.named_parameters()), strict=True)
  error = torch.cat([(gradients[name] - x).flatten() for name, x in zip(names, expected, strict=True)]).norm()
  assert error / torch.cat([x.flatten() for x in expected]).norm() < 1e-3


def assert_moved_alike(network, variables, before):
  """Compares whole updates: where gradients are mere rounding, Adam's steps have full size and any sign."""
  expected = dict(weights.load(copy.deepcopy(network), variables).named_parameters())
  moved = torch.cat([(expected[name] - x).flatten() for name, x in before.items()]).norm()
  apart = torch.cat([(expected[name] - x).flatten() for name, x in network.named_parameters()]).norm()
  assert moved > 0 and apart / moved < 0.05


def assert_close(network, variables, tolerance):
  for name, x in weights.load(copy.deepcopy(network), variables).named_parameters():
    np.testing.assert_allclose(network.get_parameter(name).detach(), x.detach(), atol=tolerance, err_msg=name)
