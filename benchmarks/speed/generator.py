"""Batch inference of the generator beside PyTorch's, at 96, 192 and 256 pixels.

  python -m benchmarks.speed.generator --output=generator.json
  python -m benchmarks.speed.generator --sizes=96 --batch_sizes=64,128,256 --compile_modes=max-autotune

The network has the paper's size, random weights and random statistics. Crops, references and mels are already on the
device, and images stay there. Ours is the generator of dubbing: BatchNorm folded, jitted, in bfloat16 on a GPU and in
float32 elsewhere. PyTorch's is in `benchmarks/torch_reference`, under inference mode: `released_recipe` runs like
Wav2Lip's code, in float32, eager, not channels_last; the others are PyTorch at its best: channels last, BatchNorm
folded, autocast to bfloat16, torch.compile with frozen weights. All images must agree.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from benchmarks import commands
from benchmarks.speed import side_by_side
from benchmarks.speed.side_by_side import OURS, Case, Comparison
from benchmarks.speed.workers import Contender, Outputs, Side
from benchmarks.tiny import TINY_OVERRIDES
from configs import lrs2
from lpips_jax.core import cli

if TYPE_CHECKING:  # PyTorch's process imports no JAX
  from lpips_jax.dubbing.generator import BatchedGenerator
  from lpips_jax.pretrained import Pretrained

BATCH_SIZES = {'cpu': [8], 'gpu': [16, 64, 256]}
TOLERANCES = {'float32': 1e-3, 'bf16': 0.05}  # relative; bfloat16 differs by 0.02


@dataclasses.dataclass(frozen=True)
class Frames:
  """A batch of faces to generate.

  Attributes:
    image_size: side of the faces in pixels.
    batch_size: number of faces.
    tiny: a network of a few channels.
  """

  image_size: int
  batch_size: int
  tiny: bool = False

  def config(self) -> ConfigDict:
    config = lrs2.get_config()
    if self.tiny:
      config.update_from_flattened_dict(TINY_OVERRIDES['generator'])
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
  """Returns noise: crops and references, (n, s, s, 3) uint8, and mels, (n, 80, 16)."""
  rng = np.random.default_rng(0)
  shape = frames.batch_size, frames.image_size, frames.image_size, 3
  crops, references = (rng.integers(256, size=shape, dtype=np.uint8) for _ in range(2))
  return crops, references, rng.uniform(-4, 4, (frames.batch_size, 80, 16)).astype(np.float32)


def make_network(frames: Frames) -> 'Pretrained':
  """Returns our network with random weights and statistics."""
  from benchmarks.random_weights import with_statistics
  from lpips_jax import models
  from lpips_jax.models.initialise import init_variables
  from lpips_jax.pretrained import Pretrained

  config = frames.config()
  model = models.build(config.model)
  return Pretrained(config, model, with_statistics(init_variables(model, config.model, 0)), 0)


def ours(frames: Frames) -> Side:
  """Returns the generator of `lpips_jax.dubbing`."""
  import jax

  from lpips_jax.dubbing.generator import BatchedGenerator

  network = make_network(frames)
  generator = BatchedGenerator(network, frames.batch_size, 'auto')
  batch = make_batch(frames)
  # The last part is padded to full size.
  parts = [
    jax.device_put([_padded(x[first : first + generator.part_size], generator.part_size) for x in batch])
    for first in range(0, frames.batch_size, generator.part_size)
  ]

  def run(repeats: int) -> None:
    futures = [generator.workers.submit(_generate, generator, part) for _ in range(repeats) for part in parts]
    for future in futures:
      future.result()

  def outputs() -> Outputs:
    return {'images': np.concatenate([generator.generate(*part) for part in parts])[: frames.batch_size]}

  return Side(
    jax.default_backend(),
    jax.devices()[0].device_kind,
    jax.__version__,
    {OURS: Contender(outputs, run)},
    jax.device_get(network.variables),
  )


def _generate(generator: 'BatchedGenerator', part: Sequence[Any]) -> None:
  """Generates a part and drops the images, so that they take no memory."""
  generator.generate(*part)


def _padded(x: np.ndarray, length: int) -> np.ndarray:
  return np.concatenate([x, np.zeros((length - len(x), *x.shape[1:]), x.dtype)])


def reference(frames: Frames, variables: dict[str, Any], rows: Sequence[str], compile_mode: str) -> Side:
  """Returns PyTorch's generator by each recipe."""
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
  flags.DEFINE_list('sizes', ['96', '192', '256'], 'Sides of the crops, in pixels.')
  commands.register_numbers('sizes', multiple=16)


if __name__ == '__main__':
  define_flags()
  cli.run(main)
