"""The step of a network that is trained by itself: nothing is frozen, and there is no adversary."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import optax

from lpips_jax.training.accumulation import in_parts, rematerialised
from lpips_jax.training.state import Params, TrainState, Variables
from lpips_jax.training.step import Batch, FrozenVariables, Metrics, Step, StepSettings


class Measured(NamedTuple):
  """By-products of a loss: the BatchNorm statistics after the batch, and the metrics."""

  batch_stats: Variables
  metrics: Metrics


# Of parameters, BatchNorm statistics, a batch, and what the step draws or computes for it.
Loss = Callable[[Params, Variables, Batch, Any], tuple[jax.Array, Measured]]


def make_lone_step(
  loss: Loss,
  settings: StepSettings,
  values: Callable[[TrainState, jax.Array], Any] = lambda state, key: key,
) -> Step:
  """Returns `step(state, batch, frozen_variables) -> (state, metrics)`; the frozen variables are empty.

  Args:
    loss: of the network.
    settings: how gradients become an update.
    values: returns the last argument of the loss, from the state and a key that is drawn for the step; by default the
      key.
  """
  if settings.remat:
    loss = rematerialised(loss)

  def step(state: TrainState, batch: Batch, frozen_variables: FrozenVariables) -> tuple[TrainState, Metrics]:
    del frozen_variables
    key = jax.random.fold_in(jax.random.key(settings.seed), state.step)
    of_batch = partial(_gradients, loss, state.variables['params'], values(state, key))
    batch_stats, (gradient, metrics) = in_parts(of_batch, settings.accumulate)(state.variables['batch_stats'], batch)
    metrics |= {'gradient_norm': optax.global_norm(gradient), 'learning_rate': settings.learning_rate(state.step)}
    return state.updated(gradient, batch_stats, settings.optimizer, settings.average_decay), metrics

  return step


def _gradients(
  loss: Loss, params: Params, values: Any, batch_stats: Variables, batch: Batch
) -> tuple[Variables, tuple[Params, Metrics]]:
  """The BatchNorm statistics after a batch; and the gradient of its loss with the metrics."""
  gradient, measured = jax.grad(loss, has_aux=True)(params, batch_stats, batch, values)
  return measured.batch_stats, (gradient, measured.metrics)
