"""Conversion of our variables into PyTorch modules, by name."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from benchmarks.torch_reference.networks import Generator
from benchmarks.torch_reference.released import Block, Discriminator, Lpips

Network = TypeVar('Network', bound=nn.Module)
Tree = Mapping[str, Any]
NORM = {'scale': 'weight', 'bias': 'bias', 'mean': 'running_mean', 'var': 'running_var'}
UNNUMBERED = {'stem': -1, 'collapse': 98, 'head': 99}  # where an encoder's blocks without a number come


@torch.no_grad()
def load(module: Network, variables: Tree) -> Network:
  """Fills a module with our arrays, and returns it without the biases before BatchNorm, which ours do not have.

  Args:
    module: a module of `networks` or `released`.
    variables: `params` and, if there are any, `batch_stats`: nested dicts of arrays. For LPIPS, the result of
      `perceptual.load_weights`.

  Raises:
    ValueError: shapes differ, or parameters are left over on either side.
  """
  filled: set[int] = set()
  if isinstance(module, Lpips):
    _fill_lpips(module, variables, filled)
  else:
    _fill(module, variables['params'], filled)
    _fill(module, variables.get('batch_stats', {}), filled)
  missing = [name for name, parameter in module.named_parameters() if id(parameter) not in filled]
  if missing:
    raise ValueError(f'no weights for {", ".join(missing)}')
  return module


def _fill(module: nn.Module, tree: Tree, filled: set[int]) -> None:
  if isinstance(module, Block):
    module.conv_block[0].register_parameter('bias', None)
  for name, value in tree.items():
    if isinstance(value, Mapping):
      _fill(_child(module, name, tree), value, filled)
    else:
      _put(*_tensor(module, name, np.array(value, np.float32)), filled)


def _fill_lpips(lpips: Lpips, weights: Tree, filled: set[int]) -> None:
  convolutions = [layer for layer in lpips.vgg.features if isinstance(layer, nn.Conv2d)]
  for convolution, name in zip(convolutions, sorted(weights['vgg']), strict=True):
    _fill(convolution, weights['vgg'][name], filled)
  for parameter, name in zip(lpips.linear, sorted(weights['linear']), strict=True):
    _put(parameter, np.array(weights['linear'][name]), filled)


def _child(module: nn.Module, name: str, tree: Tree) -> nn.Module:
  """The submodule that corresponds to our submodule of that name."""
  if isinstance(module, Block):
    return module.conv_block[{'conv': 0, 'norm': 1}[name]]
  if isinstance(module, nn.Sequential):
    return module[sorted(tree, key=_place).index(name)]
  if isinstance(module, Discriminator):
    path = re.sub(r'_(?=\d)', '.', name)
    return module.get_submodule(path if name == 'binary_pred_0' else f'{path}.conv_block.0')
  if isinstance(module, Generator):
    for pattern, path in (
      (r'down_(\d)', r'encoder.\1.down'),
      (r'up_(\d)', r'decoder.\1.up'),
      (r'fusion_(\d)', r'decoder.\1.fusion'),
      (r'(encoder|decoder)_(\d)_(\d)', r'\1.\2.blocks.\3'),
      (r'bottleneck_(\d)', r'bottleneck.\1'),
    ):
      name = re.sub(f'^{pattern}$', path, name)
  return module.get_submodule(name)


def _place(name: str) -> tuple[int, ...]:
  """Sort key of an encoder's blocks: stem, down_0, residual_0_0, ..., down_1, ..., collapse, head."""
  return (UNNUMBERED[name],) if name in UNNUMBERED else tuple(map(int, re.findall(r'\d+', name)))


def _tensor(module: Any, name: str, value: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
  """The tensor that receives a variable of a layer, and the variable's value in the tensor's layout."""
  if isinstance(module, nn.BatchNorm2d):
    return getattr(module, NORM[name]), value
  if name != 'kernel':
    return getattr(module, name), value
  if isinstance(module, nn.ConvTranspose2d):
    return module.weight, value[::-1, ::-1].transpose(2, 3, 0, 1)  # (h, w, in, out) flipped -> (in, out, h, w)
  if isinstance(module, nn.Conv2d) and value.ndim == 2:  # ours is a dense layer
    value = value[None, None]
  return module.weight, value.T if value.ndim == 2 else value.transpose(3, 2, 0, 1)


def _put(tensor: torch.Tensor, value: np.ndarray, filled: set[int]) -> None:
  if tensor.shape != value.shape:
    raise ValueError(f'{value.shape} does not go into {tuple(tensor.shape)}')
  tensor.copy_(torch.from_numpy(np.array(value)))  # contiguous: PyTorch takes no negative strides
  filled.add(id(tensor))
