"""Training steps beside PyTorch's: of the sync expert, of the generator, and of the generator with its adversary.

  python -m benchmarks.train_step --output=train_step.json
  python -m benchmarks.train_step --tasks=generator --batch_sizes=16,32,64,128 --compile_modes=max-autotune

Networks of the paper's size, with random weights, on random batches that are on the device already: all that a step of
train.py does but reading data. `benchmarks/torch_reference` does the same in PyTorch, in several ways. The row
`released_recipe` is Wav2Lip's way (float32, eager, not channels_last, Adam not fused), the others are PyTorch at its
best: channels last, fused Adam, and bfloat16 by autocast or torch.compile as they say. Ours computes in bfloat16 on a
GPU, else in float32. Losses of the first three steps must agree. Rates are of windows of five frames; a batch is of
windows, and the expert's of clips with four windows each.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from benchmarks import commands, side_by_side
from benchmarks.side_by_side import OURS, Case, Comparison
from benchmarks.workers import Contender, Outputs, Side
from configs import lrs2, lrs2_gan, lrs2_sync_expert
from lpips_jax.core import cli
from lpips_jax.core.constants import WINDOW_FRAMES

CONFIGS = {'sync_expert': lrs2_sync_expert, 'generator': lrs2, 'generator_gan': lrs2_gan}
BATCH_SIZES = {'cpu': {'sync_expert': [4]}, 'gpu': {'sync_expert': [16, 64, 128]}}
GENERATOR_BATCH_SIZES = {'cpu': [2], 'gpu': [16, 64, 128]}
CHECKED_STEPS = 3
# Of bfloat16 losses are within 0.01 and the gradient's length within 0.0003 at full size, 0.06 of a tiny network; other
# weights make its length differ by 0.3.
TOLERANCES = {'float32': 1e-2, 'bf16': 0.1}


@dataclasses.dataclass(frozen=True)
class Trained:
  """What is trained: a task of `CONFIGS`, on so many clips or windows; `tiny` for networks of a few channels."""

  task: str
  batch_size: int
  tiny: bool = False

  def config(self, dtype: str = 'float32') -> ConfigDict:
    """As in configs/, with every loss from the first step on, and without a schedule."""
    config = CONFIGS[self.task].get_config()
    if self.tiny:
      config.update_from_flattened_dict(commands.TINY[config.task])
      if config.task == 'generator':
        config.model.update(blocks=1, bottleneck=1)
    config.data.batch_size = config.optimizer.batch_size = self.batch_size
    config.optimizer.update(warmup_steps=0, cosine=False)
    config.model.dtype = dtype
    if config.task == 'generator':
      config.losses.adversarial_start = 0
      config.losses.warmup_steps.adversarial = 0
      config.discriminator.dtype = dtype
      config.perceptual.width = 1 / 16 if self.tiny else 1.0
    return config

  def expert_config(self) -> ConfigDict:
    """Of the expert that judges a generator."""
    return Trained('sync_expert', self.batch_size, self.tiny).config()


def main() -> None:
  given = flags.FLAGS

  def cases(platform: str) -> list[Case]:
    found = []
    for task in given.tasks:
      sizes = given.batch_sizes or BATCH_SIZES[platform].get(task, GENERATOR_BATCH_SIZES[platform])
      for size in map(int, sizes):
        trained = Trained(task, size, given.tiny)
        windows = trained.config().data.windows if task == 'sync_expert' else 1
        found.append(Case(task, size, size * windows, trained))
    return found

  side_by_side.compare(Comparison(cases, ours, reference, 'windows', TOLERANCES))


def make_batch(config: ConfigDict) -> dict[str, np.ndarray]:
  """A batch of noise, as the input pipeline shapes them, without the names of clips."""
  rng = np.random.default_rng(0)
  clips, size = config.data.batch_size, config.model.image_size

  def images(*shape: int) -> np.ndarray:
    return rng.integers(256, size=(*shape, WINDOW_FRAMES, size, size, 3), dtype=np.uint8)

  def mels(*shape: int) -> np.ndarray:
    return rng.uniform(-4, 4, (*shape, 80, 16)).astype(np.float32)

  if config.task == 'generator':
    return {
      'target': images(clips),
      'reference': images(clips),
      'mel': mels(clips, WINDOW_FRAMES),
      'window_mel': mels(clips),
      'window_phones': mels(clips),
    }
  windows = config.data.windows
  start = rng.integers(50, size=(clips, windows), dtype=np.int32)
  return {'frames': images(clips, windows), 'mel': mels(clips, windows), 'start': start}


def ours(trained: Trained) -> Side:
  """The step of train.py, compiled for one device."""
  import jax

  from lpips_jax.training import sharding
  from lpips_jax.training.tasks import make_task

  platform = jax.default_backend()
  config = trained.config('float32' if platform == 'cpu' else 'bfloat16')
  frozen = make_frozen(config, trained.expert_config().model)
  task = make_task(config, frozen)
  mesh = sharding.make_mesh(trained.batch_size)
  state, frozen_weights, batch = placed(task, frozen, config, mesh)
  weights = {'variables': state.variables, **frozen.weights}
  if state.adversary:
    weights['discriminator'] = {'params': state.adversary.params}
  weights = jax.device_get(weights)
  step, _ = sharding.jitted(task, mesh)

  def outputs() -> Outputs:
    nonlocal state
    metrics = []
    for _ in range(CHECKED_STEPS):
      state, of_step = step(state, batch, frozen_weights)
      metrics.append(jax.device_get(of_step))
    return _stacked(metrics)

  def run(repeats: int) -> None:
    nonlocal state
    for _ in range(repeats):
      state, _ = step(state, batch, frozen_weights)
    jax.block_until_ready(state)

  device = jax.devices()[0].device_kind
  return Side(platform, device, jax.__version__, {OURS: Contender(outputs, run)}, weights)


def placed(task: Any, frozen: Any, config: ConfigDict, mesh: Any) -> tuple[Any, Any, Any]:
  """The state to begin with, in which every loss counts, the frozen weights and a batch, on the devices of a mesh."""
  from lpips_jax.training import sharding

  state = task.init()
  state = state.replace(sync_opened=state.step + 0)
  state, weights = (sharding.put_replicated(tree, mesh) for tree in (state, frozen.weights))
  return state, weights, sharding.put_batch(make_batch(config), mesh)


def make_frozen(config: ConfigDict, of_expert: ConfigDict) -> Any:
  """An untrained expert and VGG with random weights: what they say takes no longer or shorter to compute.

  Args:
    config: of the run that they judge.
    of_expert: the expert's network.
  """
  import jax.numpy as jnp

  from lpips_jax import models, perceptual
  from lpips_jax.models.initialise import init_variables
  from lpips_jax.training.tasks import Frozen

  if config.task == 'sync_expert':
    return Frozen()
  expert = models.build(of_expert)
  lpips = perceptual.random_weights(0, config.perceptual.width)
  weights = {'expert': init_variables(expert, of_expert, 1), 'lpips': lpips}
  return Frozen(expert.clone(dtype=jnp.dtype(config.model.dtype)), weights)


def reference(trained: Trained, weights: dict[str, Any], rows: Sequence[str], compile_mode: str) -> Side:
  """PyTorch's step in each of the ways, from the same weights."""
  import torch

  from benchmarks.torch_reference import recipes

  device = recipes.start()
  config = trained.config()
  batch = {name: torch.from_numpy(x).to(device) for name, x in make_batch(config).items()}
  contenders = {}
  for row in rows:
    recipe = recipes.recipe(row, device, compile_mode)
    step = make_reference_step(trained, config, weights, recipe)[0]
    contenders[row] = recipe.contender(partial(step, batch), partial(_first_steps, step, batch))
  return recipes.side(device, contenders)


def _first_steps(step: Any, batch: Any) -> Outputs:
  # Read step by step: CUDA graphs write into the same memory each time.
  return _stacked([{name: x.numpy(force=True) for name, x in step(batch).items()} for _ in range(CHECKED_STEPS)])


def make_reference_step(trained: Trained, config: ConfigDict, weights: dict[str, Any], recipe: Any) -> tuple:
  """Returns the step, the network that it trains, its average, and the discriminator, None if there is none."""
  import copy

  from benchmarks.torch_reference import steps
  from benchmarks.torch_reference.networks import build
  from benchmarks.torch_reference.released import Lpips
  from benchmarks.torch_reference.weights import load

  network = recipe.placed(load(build(config.model), weights['variables']))
  average = copy.deepcopy(network).requires_grad_(False)
  if config.task == 'sync_expert':
    return steps.make_expert_step(network, average, config, recipe), network, average, None
  expert = recipe.placed(load(build(trained.expert_config().model), weights['expert']))
  lpips = recipe.placed(load(Lpips(config.perceptual.width), weights['lpips']))
  discriminator = None
  if config.losses.adversarial:
    discriminator = recipe.placed(load(build(config.discriminator), weights['discriminator']))
  networks = steps.Networks(network, expert, lpips, discriminator)
  return steps.make_generator_step(networks, average, config, recipe), network, average, discriminator


def _stacked(metrics: list[dict[str, Any]]) -> Outputs:
  """By name, of all steps: what both sides report of their losses; and of the first one how long its gradients are.

  On noise losses hardly depend on weights. The gradient does, but from the second step on rounding tells in it.
  """
  lengths = {name for name in metrics[0] if name.endswith('gradient_norm')}
  told = metrics[0].keys() - lengths - {'sync_open', 'learning_rate', 'accuracy', 'ranking'}
  losses = {name: np.array([float(of_step[name]) for of_step in metrics]) for name in told}
  return losses | {name: np.array([float(metrics[0][name])]) for name in lengths}


def define_flags() -> None:
  side_by_side.define_flags()
  flags.DEFINE_list('tasks', list(CONFIGS), 'What to train.')
  commands.register_choices('tasks', list(CONFIGS))


if __name__ == '__main__':
  define_flags()
  cli.run(main)
