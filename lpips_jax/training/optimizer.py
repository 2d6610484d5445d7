"""The optimiser of every network that is trained, and its learning rate."""

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from lpips_jax.training.state import Params

SCALING = {'none': 0.0, 'sqrt': 0.5, 'linear': 1.0}  # exponents of the batch size


def make_optimizer(config: ConfigDict, rate: optax.Schedule) -> optax.GradientTransformation:
  """Returns Adam with clipping by global norm and decoupled weight decay of kernels; biases and scales do not decay.

  Args:
    config: `optimizer` of a run's config: `b1`, `b2`, `weight_decay`, `clip_norm`.
    rate: the learning rate of each step.
  """
  # Flattened: one update of one long vector, not of hundreds of small leaves, each with a kernel to compile and launch.
  adam = optax.flatten(
    optax.chain(
      optax.clip_by_global_norm(config.clip_norm),
      optax.adamw(rate, config.b1, config.b2, weight_decay=config.weight_decay),
    )
  )

  def update(gradients: Params, state: optax.OptState, params: Params) -> tuple[Params, optax.OptState]:
    return adam.update(gradients, state, _kernels(params))  # parameters matter to the decay alone

  return optax.GradientTransformation(adam.init, update)


def learning_rate(config: ConfigDict, batch_size: int, steps: int) -> optax.Schedule:
  """Returns the learning rate by step: a linear warm-up, then constant, or falling as a cosine to a fiftieth.

  Args:
    config: `optimizer` of a run's config: `learning_rate`, which is meant for a batch of `batch_size`; `scaling`, the
      power of the batch size with which it grows ('none'; 'linear': Goyal et al., arXiv 1706.02677; 'sqrt': Malladi et
      al., arXiv 2205.10287, for Adam); `warmup_steps`; `cosine` (bool).
    batch_size: of this run.
    steps: length of the run, for the cosine; more than the warm-up's.
  """
  peak = config.learning_rate * (batch_size / config.batch_size) ** SCALING[config.scaling]
  if config.cosine:
    return optax.warmup_cosine_decay_schedule(0.0, peak, config.warmup_steps, steps, end_value=0.02 * peak)
  return optax.linear_schedule(0.0, peak, max(config.warmup_steps, 1))


def _kernels(params: Params) -> Params:
  """The parameters with zeros in place of biases, scales of normalisation, and an expert's temperature."""
  return jax.tree.map(lambda x: x if x.ndim > 1 else jnp.zeros_like(x), params)
