"""Everything a run changes, in one frozen struct."""

from collections.abc import Iterable
from typing import Any, Self

import jax
import jax.numpy as jnp
import optax
from flax import struct

Params = dict[str, Any]  # Linen's nested dict of arrays
Variables = dict[str, Any]  # Linen's {'params': …, 'batch_stats': …}
CLOSED = -1  # in place of the step at which a loss opened


class Adversary(struct.PyTreeNode):
  """The discriminator in training: its parameters, and its optimiser's state."""

  params: Params
  optimizer: optax.OptState

  @classmethod
  def create(cls, params: Params, optimizer: optax.GradientTransformation) -> Self:
    return cls(params, optimizer.init(params))

  @jax.named_scope('optimizer')
  def updated(self, gradients: Params, optimizer: optax.GradientTransformation) -> 'Adversary':
    updates, optimizer_state = optimizer.update(gradients, self.optimizer, self.params)
    return Adversary(optax.apply_updates(self.params, updates), optimizer_state)


class TrainState(struct.PyTreeNode):
  """The state of a run after some updates.

  Attributes:
    step: () int32, the number of updates made.
    variables: the network being trained: parameters and BatchNorm statistics.
    average: the exponential moving average of `variables`, which evaluation and dubbing use.
    optimizer: the optimiser's state.
    opened: () int32 each, by the name of a loss with a gate: after how many updates it began to count, `CLOSED` before.
      It opens when the loss, evaluated, falls below a threshold, and is saved like the rest, so that a resumed run does
      not close it.
    adversary: the discriminator; None without the adversarial loss.
  """

  step: jax.Array
  variables: Variables
  average: Variables
  optimizer: optax.OptState
  opened: dict[str, jax.Array]
  adversary: Adversary | None = None

  @classmethod
  def create(
    cls,
    variables: Variables,
    optimizer: optax.GradientTransformation,
    adversary: Adversary | None = None,
    gates: Iterable[str] = (),
  ) -> Self:
    """The state before the first update; `gates` are the names of the losses that have one, all closed."""
    return cls(
      step=jnp.zeros((), jnp.int32),
      variables=variables,
      average=jax.tree.map(jnp.copy, variables),
      optimizer=optimizer.init(variables['params']),
      opened={name: jnp.full((), CLOSED, jnp.int32) for name in gates},
      adversary=adversary,
    )

  @jax.named_scope('optimizer')
  def updated(
    self, gradients: Params, batch_stats: Variables, optimizer: optax.GradientTransformation, decay: float
  ) -> Self:
    """The state after one step down the gradients; the average forgets at `decay`, faster at the start of a run."""
    updates, optimizer_state = optimizer.update(gradients, self.optimizer, self.variables['params'])
    variables = {'params': optax.apply_updates(self.variables['params'], updates), 'batch_stats': batch_stats}
    kept = jnp.minimum(decay, (1 + self.step) / (10 + self.step))
    average = jax.tree.map(lambda old, new: kept * old + (1 - kept) * new, self.average, variables)
    return self.replace(step=self.step + 1, variables=variables, average=average, optimizer=optimizer_state)

  def with_opened(self, name: str) -> Self:
    """The state from which on a loss with a gate counts; unchanged if it was opened before."""
    since = self.opened[name]
    return self.replace(opened=self.opened | {name: jnp.where(since == CLOSED, self.step, since)})
