"""The tasks that a config can ask for: how to make the state of each, its step, and the shapes of its batches.

To add a task, write a module with `make_step`, `make_evaluation` and `batch_shapes` as `expert_step` has them, give it
an entry in `TASKS`, and name the networks that it trains in `models.NETWORKS_OF_TASK`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.core.constants import AV_EXPERT, LIP_READER, SYNC_EXPERT
from lpips_jax.core.errors import UserError
from lpips_jax.models import Discriminator
from lpips_jax.models.initialise import init_variables
from lpips_jax.training import av_expert_step, expert_step, generator_losses, generator_step, reader_step, warm_start
from lpips_jax.training.frozen import Frozen, computing_in
from lpips_jax.training.optimizer import learning_rate, make_optimizer
from lpips_jax.training.state import Adversary, TrainState, Variables
from lpips_jax.training.step import Shapes, StepSettings, Task
from lpips_jax.training.warm_start import Start

FRESH = Start()


@dataclass(frozen=True)
class Making:
  """Everything that a task is made of.

  Attributes:
    config: of the run.
    model: the network in training.
    first_variables: makes those that it starts with.
    settings: of its step.
    frozen: the networks that it uses and does not train.
  """

  config: ConfigDict
  model: nn.Module
  first_variables: Callable[[], Variables]
  settings: StepSettings
  frozen: Frozen


class TaskKind(NamedTuple):
  """A task that a config can ask for by name.

  Attributes:
    make: makes it.
    batch_shapes: returns the shapes of a batch of all devices, from the config.
  """

  make: Callable[[Making], Task]
  batch_shapes: Callable[[ConfigDict], Shapes]


def make_task(config: ConfigDict, frozen: Frozen, start: Start = FRESH) -> Task:
  """Returns the task that a config, which has passed `validation.check_config`, asks for.

  Args:
    config: of the run.
    frozen: from `frozen.load_frozen`.
    start: from `warm_start.find_start`; without it, the network is initialised from random numbers.
  """
  rate = learning_rate(config.optimizer, config.data.batch_size, config.steps)
  optimizer = make_optimizer(config.optimizer, rate)
  settings = StepSettings(
    optimizer, rate, config.average_decay, config.accumulate, config.remat, config.seed, config.steps
  )
  model = models.build(config.model)
  from_expert = frozen.variables[SYNC_EXPERT] if config.get('audio_encoder_from_expert') else None

  def first_variables() -> Variables:
    return _first_variables(init_variables(model, config.model, config.seed), start, from_expert)

  return TASKS[config.task].make(Making(config, model, first_variables, settings, frozen))


def batch_shapes(config: ConfigDict) -> Shapes:
  """Returns the shapes of a batch of all devices of the task that a config asks for."""
  return TASKS[config.task].batch_shapes(config)


def _alone(step: Any) -> TaskKind:
  """The task of a network that is trained by itself, with the functions of its module."""

  def make(given: Making) -> Task:
    return Task(
      init=lambda: TrainState.create(given.first_variables(), given.settings.optimizer),
      step=step.make_step(given.model, given.config, given.settings),
      evaluate=step.make_evaluation(given.model, given.config),
    )

  return TaskKind(make, step.batch_shapes)


def _generator(given: Making) -> Task:
  config, frozen, optimizer = given.config, given.frozen, given.settings.optimizer
  if SYNC_EXPERT not in frozen.modules:
    raise ValueError('a generator is trained with a frozen expert')
  discriminator = None
  if config.losses.adversarial:
    built = cast(Discriminator, models.build(config.discriminator))  # `validation` accepts no other
    discriminator = computing_in(config.model.dtype, built)
  networks = generator_step.Networks(given.model, frozen.modules, discriminator)
  gates = generator_losses.gates(config.losses)

  def init() -> TrainState:
    variables = given.first_variables()
    if discriminator is None:
      return TrainState.create(variables, optimizer, gates=gates)
    params = init_variables(discriminator, config.discriminator, config.seed, gain=2.0)['params']
    return TrainState.create(variables, optimizer, Adversary.create(params, optimizer), gates)

  return Task(
    init,
    step=generator_step.make_step(networks, config.losses, given.settings),
    evaluate=generator_step.make_evaluation(networks, config.losses),
    gates=gates,
  )


TASKS: dict[str, TaskKind] = {
  SYNC_EXPERT: _alone(expert_step),
  LIP_READER: _alone(reader_step),
  AV_EXPERT: _alone(av_expert_step),
  'generator': TaskKind(_generator, generator_step.batch_shapes),
}


def _first_variables(variables: Variables, start: Start, expert: Variables | None) -> Variables:
  """The variables before the first step.

  Args:
    variables: from random numbers.
    start: its base, if it has one, replaces the variables that fit.
    expert: its speech encoder replaces the network's, unless that came from the base; None leaves the network's.
  """
  if start.resumed:  # the saved state replaces them all
    return variables
  initialised = False
  if start.base is not None:
    variables, found = warm_start.start_from(variables, start)
    initialised = warm_start.has_audio_encoder(found)
    if jax.process_index() == 0:
      print(warm_start.summary(found, start), flush=True)
  if expert is not None and not initialised:
    variables = _grafted(variables, _audio_encoder(expert))
  return variables


def _audio_encoder(variables: Variables) -> Variables:
  """The expert's speech encoder, all but its last layer, which maps to an embedding rather than to a code."""
  return {
    kind: {'audio_encoder': {name: leaf for name, leaf in tree['audio_encoder'].items() if name != 'head'}}
    for kind, tree in variables.items()
  }


def _grafted(tree: Variables, graft: Variables) -> Variables:
  """Replaces the leaves of `tree` that `graft` has; shapes must agree."""
  for name, value in graft.items():
    if name not in tree:
      raise UserError(f'the expert has {name}, the generator does not: give both the same audio_residuals')
    if isinstance(value, dict):
      tree = tree | {name: _grafted(tree[name], value)}
    elif tree[name].shape != value.shape:
      raise UserError(f'{name}: expert {value.shape}, generator {tree[name].shape}: give both the same audio_widths')
    else:
      tree = tree | {name: jnp.copy(value)}  # the state is donated, the expert's own arrays are not
  return tree
