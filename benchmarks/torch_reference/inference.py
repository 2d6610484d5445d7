"""Batch inference with the generator."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.torch_reference.networks import Generator
from benchmarks.torch_reference.recipes import Recipe
from benchmarks.torch_reference.steps import generator_faces, images

PAIRS = ('0', '1'), ('conv', 'norm'), ('reduce', 'norm')  # a convolution and the BatchNorm after it, by name


def make_generate(generator: Generator, recipe: Recipe) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
  """Returns `generate(crops, references, mels) -> images`: (n, s, s, 3) uint8 twice, (n, 80, 16) -> (n, s, s, 3).

  Args:
    generator: whose weights are changed here.
    recipe: how to run; a tuned one has BatchNorm folded.
  """
  generator = generator.eval().requires_grad_(False)
  generator = recipe.placed(fold(generator) if recipe.tuned else generator)

  def generate(crops: Tensor, references: Tensor, mels: Tensor) -> Tensor:
    with recipe.autocast():
      faces = generator_faces(images(crops, recipe), images(references, recipe))
      return generator(faces, mels[:, None]).permute(0, 2, 3, 1)

  return torch.inference_mode()(recipe.translated(generate, frozen=True))


def fold(network: nn.Module) -> nn.Module:
  """Folds each BatchNorm of a network in evaluation into the convolution before it, in place; returns the network."""
  for module in network.modules():
    for before, after in PAIRS:
      convolution, norm = (module._modules.get(name) for name in (before, after))
      if isinstance(norm, nn.BatchNorm2d) and convolution is not None:
        transposed = isinstance(convolution, nn.ConvTranspose2d)
        module._modules |= {before: fuse_conv_bn_eval(convolution, norm, transposed), after: nn.Identity()}
  return network
