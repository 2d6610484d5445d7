"""Batch inference with the generator."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.torch_reference.networks import Generator
from benchmarks.torch_reference.recipes import Recipe
from benchmarks.torch_reference.steps import generator_faces, images
from lpips_jax.audio.loudness import level_of
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.dubbing.options import reference_of

AHEAD = {'cpu': 1, 'cuda': 2}  # batches at once
PAIRS = ('0', '1'), ('conv', 'norm'), ('reduce', 'norm')  # a convolution and the BatchNorm after it, by name
ROUNDED = nn.Conv2d, nn.ConvTranspose2d, nn.Linear  # what autocast has in bfloat16


def make_generate(generator: Generator, recipe: Recipe) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
  """Returns `generate(crops, references, mels) -> images`: (n, s, s, 3) uint8 twice, (n, 80, 16) -> (n, s, s, 3).

  Args:
    generator: whose weights are changed here.
    recipe: how to run; a tuned one has BatchNorm folded.
  """
  generator = generator.eval().requires_grad_(False)
  generator = recipe.placed(fold(generator) if recipe.tuned else generator)
  if recipe.bf16:  # once, not at each call
    for layer in generator.modules():
      if isinstance(layer, ROUNDED):
        layer.to(torch.bfloat16)

  def generate(crops: Tensor, references: Tensor, mels: Tensor) -> Tensor:
    with recipe.autocast():
      faces = generator_faces(images(crops, recipe), images(references, recipe))
      return generator(faces, mels[:, None]).permute(0, 2, 3, 1)

  generate = recipe.translated(generate, frozen=True)

  @torch.inference_mode()
  def step(crops: Tensor, references: Tensor, mels: Tensor) -> Tensor:
    recipe.begin_step()
    return generate(crops, references, mels)

  return step


class FaceGenerator:
  """PyTorch's generator as dubbing calls one: see `lpips_jax.dubbing.generator.Generator`.

  Args:
    generate: from `make_generate`, by the same recipe. What is compiled for one shape sees no other: batches that are
      not full are filled up.
    recipe: how it runs.
    config: of the run that the network is of.
    batch_size: faces at once.
  """

  def __init__(self, generate: Callable[..., Tensor], recipe: Recipe, config: Any, batch_size: int) -> None:
    self.batch_size = self.part = batch_size
    self.image_size = config.model.image_size
    self.lead = Fraction(config.data.lead) / FRAME_RATE
    self.level = level_of(config)
    self.speech, self.reference = config.model.speech, reference_of(config)
    self._generate, self._recipe = generate, recipe
    # Two on a GPU: one batch is copied while the other is computed. Denormal numbers are a matter of each thread.
    self._workers = ThreadPoolExecutor(AHEAD[recipe.device], 'generator', torch.set_flush_denormal, (True,))

  def __call__(
    self, crops: Sequence[np.ndarray], references: Sequence[np.ndarray], windows: np.ndarray
  ) -> Future[np.ndarray]:
    return self._workers.submit(self._generated, crops, references, windows)

  def _generated(self, *batch: Sequence[np.ndarray]) -> np.ndarray:
    count = len(batch[0])
    tensors = [torch.from_numpy(np.stack(x)) for x in batch]
    if self._recipe.compiled and count < self.part:
      tensors = [torch.cat([x, x.new_zeros(self.part - count, *x.shape[1:])]) for x in tensors]
    return self._generate(*(x.to(self._recipe.device) for x in tensors)).numpy(force=True)[:count]


def fold(network: nn.Module) -> nn.Module:
  """Folds each BatchNorm of a network in evaluation into the convolution before it, in place; returns the network."""
  for module in network.modules():
    for before, after in PAIRS:
      convolution, norm = (module._modules.get(name) for name in (before, after))
      if isinstance(norm, nn.BatchNorm2d) and convolution is not None:
        transposed = isinstance(convolution, nn.ConvTranspose2d)
        module._modules |= {before: fuse_conv_bn_eval(convolution, norm, transposed), after: nn.Identity()}
  return network
