"""Training steps beside PyTorch's: the sync expert, the generator, and the generator with its discriminator.

  python -m benchmarks.speed.train_step --output=train_step.json
  python -m benchmarks.speed.train_step --tasks=generator --batch_sizes=16,32,64,128 --compile_modes=max-autotune

Measures all that a step of train.py does except reading data: networks of the paper's size with random weights, on
random batches that are already on the device. `benchmarks/torch_reference` does the same in PyTorch, in several ways.
The row `released_recipe` runs like Wav2Lip's code (float32, eager, not channels_last, Adam not fused); the others are
PyTorch at its best: channels last, fused Adam, and autocast to bfloat16 or torch.compile, as their names say. Ours
computes in bfloat16 on a GPU and in float32 elsewhere. The losses of the first three steps must agree. Rates count
windows of five frames; a generator's batch consists of windows, an expert's of clips with four windows each.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from benchmarks import commands
from benchmarks.speed import side_by_side
from benchmarks.speed.side_by_side import OURS, Case, Comparison
from benchmarks.speed.workers import Contender, Outputs, Side
from benchmarks.tiny import TINY_OVERRIDES
from configs import lrs2, lrs2_gan, lrs2_sync_expert
from lpips_jax.core import cli
from lpips_jax.core.constants import WINDOW_FRAMES

if TYPE_CHECKING:  # each side's process imports its own framework only
  from jax.sharding import Mesh
  from torch.nn import Module

  from benchmarks.torch_reference.recipes import Recipe
  from benchmarks.torch_reference.steps import Batch, Step
  from lpips_jax.training.frozen import Frozen
  from lpips_jax.training.state import TrainState
  from lpips_jax.training.step import Task

CONFIGS = {'sync_expert': lrs2_sync_expert, 'generator': lrs2, 'generator_gan': lrs2_gan}
BATCH_SIZES = {'cpu': {'sync_expert': [4]}, 'gpu': {'sync_expert': [16, 64, 128]}}
GENERATOR_BATCH_SIZES = {'cpu': [2], 'gpu': [16, 64, 128]}
CHECKED_STEPS = 3
# In bfloat16 losses are within 0.01, and the gradient's norm within 0.0003 at full size and 0.06 in a tiny network;
# other weights change the norm by 0.3.
TOLERANCES = {'float32': 1e-2, 'bf16': 0.1}


@dataclasses.dataclass(frozen=True)
class Trained:
  """A training task.

  Attributes:
    task: a key of `CONFIGS`.
    batch_size: clips of the expert, windows of a generator.
    tiny: networks of a few channels.
  """

  task: str
  batch_size: int
  tiny: bool = False

  def config(self, dtype: str = 'float32') -> ConfigDict:
    """Returns the config of configs/, with every loss from the first step and a constant learning rate."""
    config = CONFIGS[self.task].get_config()
    if self.tiny:
      config.update_from_flattened_dict(TINY_OVERRIDES[config.task])
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
    """Returns the config of the expert that a generator's sync loss uses."""
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
  """Returns a batch of noise in the shapes of the input pipeline, without clip names."""
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
  """Returns the step of train.py, compiled for one device."""
  import jax

  from benchmarks.random_weights import frozen_networks
  from lpips_jax.training import sharding
  from lpips_jax.training.tasks import make_task

  platform = jax.default_backend()
  config = trained.config('float32' if platform == 'cpu' else 'bfloat16')
  frozen = frozen_networks(config, sync_expert=trained.expert_config().model)
  task = make_task(config, frozen)
  mesh = sharding.make_mesh(trained.batch_size)
  state, frozen_variables, batch = on_devices(task, frozen, config, mesh)
  weights = {'variables': state.variables, **frozen.variables}
  if state.adversary:
    weights['discriminator'] = {'params': state.adversary.params}
  weights = jax.device_get(weights)
  step, _ = sharding.jitted(task, mesh)

  def outputs() -> Outputs:
    nonlocal state
    metrics = []
    for _ in range(CHECKED_STEPS):
      state, step_metrics = step(state, batch, frozen_variables)
      metrics.append(jax.device_get(step_metrics))
    return _stacked(metrics)

  def run(repeats: int) -> None:
    nonlocal state
    for _ in range(repeats):
      state, _ = step(state, batch, frozen_variables)
    jax.block_until_ready(state)

  device = jax.devices()[0].device_kind
  return Side(platform, device, jax.__version__, {OURS: Contender(outputs, run)}, weights)


def on_devices(
  task: 'Task', frozen: 'Frozen', config: ConfigDict, mesh: 'Mesh'
) -> tuple['TrainState', dict[str, Any], dict[str, Any]]:
  """Puts the initial state, with every loss on, the frozen variables and a batch on the devices of a mesh."""
  from lpips_jax.training import sharding

  state = task.init()
  state = dataclasses.replace(state, opened={'sync': state.step + 0})  # a buffer of its own, as steps donate it
  state, variables = sharding.put_replicated(state, mesh), sharding.put_replicated(frozen.variables, mesh)
  return state, variables, sharding.put_batch(make_batch(config), mesh)


def reference(trained: Trained, weights: dict[str, Any], rows: Sequence[str], compile_mode: str) -> Side:
  """Returns PyTorch's step by each recipe, from the same weights."""
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


def _first_steps(step: 'Step', batch: 'Batch') -> Outputs:
  # Copied after each step: CUDA graphs write into the same memory every time.
  return _stacked([{name: x.numpy(force=True) for name, x in step(batch).items()} for _ in range(CHECKED_STEPS)])


def make_reference_step(
  trained: Trained, config: ConfigDict, weights: dict[str, Any], recipe: 'Recipe'
) -> tuple['Step', 'Module', 'Module', 'Module | None']:
  """Returns PyTorch's step, the network that it trains, its moving average, and the discriminator if there is one."""
  import copy

  from benchmarks.torch_reference import steps
  from benchmarks.torch_reference.networks import Generator, build
  from benchmarks.torch_reference.released import Discriminator, Lpips, SyncExpert
  from benchmarks.torch_reference.weights import load

  network = recipe.placed(load(build(config.model), weights['variables']))
  average = copy.deepcopy(network).requires_grad_(False)
  if config.task == 'sync_expert':
    assert isinstance(network, SyncExpert)
    return steps.make_expert_step(network, average, config, recipe), network, average, None
  expert = recipe.placed(load(build(trained.expert_config().model), weights['sync_expert']))
  lpips = recipe.placed(load(Lpips(config.perceptual.width), weights['lpips']))
  discriminator: Discriminator | None = None
  if config.losses.adversarial:
    built = recipe.placed(load(build(config.discriminator), weights['discriminator']))
    assert isinstance(built, Discriminator)
    discriminator = built
  assert isinstance(network, Generator) and isinstance(expert, SyncExpert)
  networks = steps.Networks(network, expert, lpips, discriminator)
  return steps.make_generator_step(networks, average, config, recipe), network, average, discriminator


def _stacked(metrics: list[dict[str, Any]]) -> Outputs:
  """Returns the losses of all steps and the gradient norms of the first step, by name.

  On noise the losses hardly depend on the weights. The gradient does, but from the second step on rounding changes it.
  """
  norms = {name for name in metrics[0] if name.endswith('gradient_norm')}
  compared = metrics[0].keys() - norms - {'sync_open', 'learning_rate', 'accuracy', 'ranking'}
  losses = {name: np.array([float(step_metrics[name]) for step_metrics in metrics]) for name in compared}
  return losses | {name: np.array([float(metrics[0][name])]) for name in norms}


def define_flags() -> None:
  side_by_side.define_flags()
  flags.DEFINE_list('tasks', list(CONFIGS), 'Tasks to train.')
  commands.register_choices('tasks', list(CONFIGS))


if __name__ == '__main__':
  define_flags()
  cli.run(main)
