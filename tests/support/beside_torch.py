"""One of our networks and its PyTorch counterpart with the same weights, and inputs for both."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import torch
from ml_collections import ConfigDict

from benchmarks.random_weights import with_statistics
from benchmarks.torch_reference import networks, weights
from lpips_jax import models
from lpips_jax.models.initialise import init_variables

IN_A_HURRY: dict[str, Any] = {'xla_backend_optimization_level': 0, 'xla_cpu_use_fusion_emitters': False}
RNG = np.random.default_rng(0)
SMALL_AUDIO = {'audio_widths': (4, 4, 8, 8, 8), 'audio_residuals': (1, 0, 0, 1)}


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
  return RNG.uniform(low, high, shape).astype(np.float32)


def noise(*shape: int) -> np.ndarray:
  return RNG.integers(256, size=shape, dtype=np.uint8)


def channels_first(x: np.ndarray) -> torch.Tensor:
  """(n, h, w, c) -> (n, c, h, w)."""
  return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def both_networks(name: str, **fields: object) -> tuple[nn.Module, dict, torch.nn.Module]:
  """Returns our module, its random variables and statistics, and PyTorch's module with the same, in evaluation."""
  config = ConfigDict({'name': name, 'image_size': 32, 'dtype': 'float32', **fields})
  module = models.build(config)
  variables = init_variables(module, config, 0)
  if 'batch_stats' in variables:
    variables = with_statistics(variables)
  return module, variables, weights.load(networks.build(config), variables).eval()


def quickly_compiled(function: Callable, *inputs: object) -> Callable:
  """Returns the function compiled without optimisation, for programs that run once."""
  lowered = jax.jit(function).lower(*inputs)
  try:
    return lowered.compile(IN_A_HURRY)
  except Exception:  # a version of XLA with other options
    return lowered.compile()


def apply(module: nn.Module, variables: dict, *inputs: Any, **options: Any) -> Any:
  """Applies our module, quickly compiled."""
  arguments = variables, *map(np.asarray, inputs)
  return quickly_compiled(lambda v, *x: module.apply(v, *x, **options), *arguments)(*arguments)
