"""Layers written out in NumPy, as the definitions have them, and variables to compare with."""

import jax
import numpy as np


def perturbed(variables):
  """Variables none of which is at its neutral initial value, so that each one's use shows."""
  generator = np.random.default_rng(1)
  return jax.tree.map(lambda x: x + 0.3 * np.abs(generator.standard_normal(x.shape)).astype(np.float32), variables)


def conv(x, kernel, pad_mode=None):
  """A stride-1 convolution as nested sums: x (n, h, w, c), kernel (kh, kw, c, f)."""
  rows, columns = kernel.shape[:2]
  if pad_mode:
    x = np.pad(x, ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)), mode=pad_mode)
  height, width = x.shape[1] - rows + 1, x.shape[2] - columns + 1
  return sum(x[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(rows) for j in range(columns))


def batch_norm(x, params, stats):
  return (x - stats['mean']) / np.sqrt(stats['var'] + 1e-5) * params['scale'] + params['bias']
