"""Batch inference with the generator."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.torch_reference.recipes import Recipe
from benchmarks.torch_reference.steps import generator_faces, images
from lpips_jax.audio.condition import level_of
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.dubbing.options import default_reference

CONCURRENT_BATCHES = {'cpu': 1, 'cuda': 2}  # on a GPU one batch is copied while another is computed
FOLDABLE = ('0', '1'), ('conv', 'norm'), ('reduce', 'norm')  # names of a convolution and the BatchNorm after it
IN_BFLOAT16 = nn.Conv2d, nn.ConvTranspose2d, nn.Linear  # the layers that autocast runs in bfloat16


def make_generate(generator: nn.Module, recipe: Recipe) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
  """Returns `generate(crops, references, mels) -> images`: (n, s, s, 3) uint8 twice, (n, 80, 16) -> (n, s, s, 3).

  Args:
    generator: the network; this changes its weights.
    recipe: how to run it; a tuned recipe folds BatchNorm.
  """
  generator = generator.eval().requires_grad_(False)
  generator = recipe.placed(fold(generator) if recipe.tuned else generator)
  if recipe.bf16:  # once, not at each call
    for layer in generator.modules():
      if isinstance(layer, IN_BFLOAT16):
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
  """PyTorch's generator with the interface of `lpips_jax.dubbing.compositing.MouthGenerator`.

  Args:
    generate: the result of `make_generate` for the same recipe. If compiled, it sees one shape only: batches that are
      not full are padded.
    recipe: how it runs.
    config: config of the network's training run.
    batch_size: number of faces in a batch.
  """

  def __init__(self, generate: Callable[..., Tensor], recipe: Recipe, config: Any, batch_size: int) -> None:
    self.batch_size = self.part_size = batch_size
    self.image_size = config.model.image_size
    self.lead = Fraction(config.data.lead) / FRAME_RATE
    self.level = level_of(config.model, config.get('data'))
    self.speech, self.reference = config.model.speech, default_reference(config.data)
    self._generate, self._recipe = generate, recipe
    threads = CONCURRENT_BATCHES[recipe.device]
    # Flushing denormal numbers is a setting of each thread.
    self._workers = ThreadPoolExecutor(threads, 'generator', torch.set_flush_denormal, (True,))

  def __call__(
    self, crops: Sequence[np.ndarray], references: Sequence[np.ndarray], windows: np.ndarray
  ) -> Future[np.ndarray]:
    return self._workers.submit(self._generated, crops, references, windows)

  def _generated(self, *batch: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    count = len(batch[0])
    tensors = [torch.from_numpy(np.stack(list(x))) for x in batch]
    if self._recipe.compiled and count < self.part_size:
      tensors = [torch.cat([x, x.new_zeros(self.part_size - count, *x.shape[1:])]) for x in tensors]
    return self._generate(*(x.to(self._recipe.device) for x in tensors)).numpy(force=True)[:count]


def fold(network: nn.Module) -> nn.Module:
  """Folds each BatchNorm of a network in evaluation into the convolution before it; returns the changed network."""
  for module in network.modules():
    for before, after in FOLDABLE:
      convolution, norm = (module._modules.get(name) for name in (before, after))
      if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d):
        transposed = isinstance(convolution, nn.ConvTranspose2d)
        module._modules |= {before: fuse_conv_bn_eval(convolution, norm, transposed), after: nn.Identity()}
  return network
