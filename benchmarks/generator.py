"""Batch inference of the generator beside PyTorch's, at 96, 192 and 256 pixels.

  python -m benchmarks.generator --output=generator.json
  python -m benchmarks.generator --sizes=96 --batch_sizes=64,128,256 --compile_modes=max-autotune

The network of the paper's size, with random weights and statistics; crops, references and mels are on the device
already, images stay there. Ours is what dubbing runs: BatchNorm folded, jitted, in bfloat16 on a GPU, else in float32.
PyTorch's is in `benchmarks/torch_reference`, under inference mode: `released_recipe` is as Wav2Lip's code runs it, in
float32, eager, not channels_last; the others are at its best: channels last, BatchNorm folded, bfloat16 by autocast,
torch.compile with frozen weights. Their images must agree.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from benchmarks import commands, side_by_side
from benchmarks.side_by_side import OURS, Case, Comparison
from benchmarks.workers import Contender, Outputs, Side
from configs import lrs2
from lpips_jax.core import cli

if TYPE_CHECKING:  # PyTorch's process imports no JAX
  from lpips_jax.pretrained.checkpoint import Pretrained

BATCH_SIZES = {'cpu': [8], 'gpu': [16, 64, 256]}
TOLERANCES = {'float32': 1e-3, 'bf16': 0.05}  # of 1; bfloat16 makes 0.02 of it


@dataclasses.dataclass(frozen=True)
class Frames:
  """What is generated: so many faces at once, of so many pixels; `tiny` for a network of a few channels."""

  image_size: int
  batch_size: int
  tiny: bool = False

  def config(self) -> ConfigDict:
    config = lrs2.get_config()
    if self.tiny:
      config.update_from_flattened_dict(commands.TINY['generator'])
    config.model.image_size = self.image_size
    return config


def main() -> None:
  given = flags.FLAGS

  def cases(platform: str) -> list[Case]:
    batch_sizes = list(map(int, given.batch_sizes)) or BATCH_SIZES[platform]
    return [
      Case(f'{size} px', batch_size, batch_size, Frames(int(size), batch_size, given.tiny))
      for size in given.sizes
      for batch_size in batch_sizes
    ]

  side_by_side.compare(Comparison(cases, ours, reference, 'frames', TOLERANCES))


def make_batch(frames: Frames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Crops and references, (n, s, s, 3) uint8, and mels, (n, 80, 16), of noise."""
  rng = np.random.default_rng(0)
  shape = frames.batch_size, frames.image_size, frames.image_size, 3
  crops, references = (rng.integers(256, size=shape, dtype=np.uint8) for _ in range(2))
  return crops, references, rng.uniform(-4, 4, (frames.batch_size, 80, 16)).astype(np.float32)


def make_network(frames: Frames) -> 'Pretrained':
  """Ours, with random weights and statistics."""
  from benchmarks.random_weights import with_statistics
  from lpips_jax import models
  from lpips_jax.models.initialise import init_variables
  from lpips_jax.pretrained.checkpoint import Pretrained

  config = frames.config()
  model = models.build(config.model)
  return Pretrained(config, model, with_statistics(init_variables(model, config.model, 0)), 0)


def ours(frames: Frames) -> Side:
  """The generator as `lpips_jax.dubbing` has it."""
  import jax

  from lpips_jax.dubbing.generator import Generator

  network = make_network(frames)
  generator = Generator(network, frames.batch_size, 'auto')
  batch = make_batch(frames)
  # A last part that is not full is filled up with faces that do not count.
  parts = [
    jax.device_put([_filled(x[first : first + generator.part], generator.part) for x in batch])
    for first in range(0, frames.batch_size, generator.part)
  ]

  def run(repeats: int) -> None:
    turns = [generator.workers.submit(_and_forget, generator, part) for _ in range(repeats) for part in parts]
    for turn in turns:
      turn.result()

  def outputs() -> Outputs:
    return {'images': np.concatenate([generator.generate(*part) for part in parts])[: frames.batch_size]}

  return Side(
    jax.default_backend(),
    jax.devices()[0].device_kind,
    jax.__version__,
    {OURS: Contender(outputs, run)},
    jax.device_get(network.variables),
  )


def _and_forget(generator: Any, part: Sequence[Any]) -> None:
  generator.generate(*part)


def _filled(x: np.ndarray, length: int) -> np.ndarray:
  return np.concatenate([x, np.zeros((length - len(x), *x.shape[1:]), x.dtype)])


def reference(frames: Frames, variables: dict[str, Any], rows: Sequence[str], compile_mode: str) -> Side:
  """PyTorch's generator in each of the ways."""
  import torch

  from benchmarks.torch_reference import recipes
  from benchmarks.torch_reference.inference import make_generate
  from benchmarks.torch_reference.networks import build
  from benchmarks.torch_reference.weights import load

  device = recipes.start()
  batch = [torch.from_numpy(x).to(device) for x in make_batch(frames)]
  contenders = {}
  for row in rows:
    recipe = recipes.recipe(row, device, compile_mode)
    generate = make_generate(load(build(frames.config().model), variables), recipe)
    contenders[row] = recipe.contender(partial(generate, *batch), partial(_images, generate, batch))
  return recipes.side(device, contenders)


def _images(generate: Callable[..., Any], batch: Sequence[Any]) -> Outputs:
  return {'images': generate(*batch).numpy(force=True)}


def define_flags() -> None:
  side_by_side.define_flags()
  flags.DEFINE_list('sizes', ['96', '192', '256'], 'Sides of the crops in pixels.')
  commands.register_numbers('sizes', multiple=16)


if __name__ == '__main__':
  define_flags()
  cli.run(main)
