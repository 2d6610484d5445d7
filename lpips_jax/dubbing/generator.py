"""The generator as dubbing uses it: batches of one shape, on all devices of this process, begun and not waited for."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lpips_jax import pretrained
from lpips_jax.audio.loudness import level_of
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.errors import UserError
from lpips_jax.core.machine import available_cores
from lpips_jax.dubbing.options import reference_of
from lpips_jax.models import example_inputs
from lpips_jax.models.inputs import generator_faces
from lpips_jax.pretrained.devices import along_batch, on_all_devices

AHEAD = 2  # batches that an accelerator is given at once, so that it need not wait for the next

_faces = jax.jit(generator_faces)


class Generator:
  """A network that gives faces new mouths.

  On a CPU a batch is divided among threads, each of which generates a part of it: XLA's convolutions, one after the
  other, leave all cores but one idle half of the time.

  Args:
    network: from `load_generator`.
    batch_size: faces at once.
    precision: `float32`, `bfloat16`, or `auto`: bfloat16 where there is hardware for it, GPU or TPU.

  Attributes:
    network: as it is used.
    batch_size: faces at once, by all threads together.
    part: faces at once, by one thread; a multiple of the number of devices.
    image_size: sides of a face crop in pixels.
    lead: seconds by which the speech window of a frame starts before it.
    level: of the speech that it wants: see `audio.loudness.mel_of`.
    speech: what it hears, 'mel' or 'phones'.
    reference: what it was made to be shown: 'rest' or 'frame'; see `Options`.
    workers: the threads.
  """

  def __init__(self, network: Callable[..., Any], batch_size: int, precision: str) -> None:
    ours = isinstance(network, pretrained.Pretrained)
    if ours:
      network = on_all_devices(made_fast(network, precision))
    self.network, self._split = network, along_batch(network)
    devices = 1 if self._split is None else self._split.mesh.size
    on_cpu = jax.default_backend() == 'cpu'
    parts = max(1, available_cores() // devices) if ours and on_cpu else 1
    self.batch_size = batch_size
    self.part = -(-batch_size // (parts * devices)) * devices
    self.image_size = network.config.model.image_size
    self.lead = Fraction(network.config.data.lead) / FRAME_RATE
    self.level = level_of(network.config)
    self.speech = network.config.model.get('speech', 'mel')
    self.reference = reference_of(network.config)
    self._warps = ours and network.config.model.get('output') == 'warp'
    self.workers = ThreadPoolExecutor(parts if on_cpu else AHEAD, 'generator')
    if ours:  # compiled before there are frames to hold: compilers take memory, too
      face = np.zeros((self.image_size, self.image_size, 3), np.uint8)
      self([face], [face], np.zeros((1, *example_inputs(network.config.model)[1].shape[1:]), np.float32)).result()

  def __call__(
    self, crops: Sequence[np.ndarray], references: Sequence[np.ndarray], windows: np.ndarray
  ) -> Future[np.ndarray]:
    """Begins to generate, and returns what will be (n, s, s, 3) in [0, 1].

    Of a network that warps it is (n, s, s, 6) instead, which `faces.warping.compose` applies to faces of any size.

    Args:
      crops: n <= part, each (s, s, 3) uint8: the faces.
      references: likewise, showing a mouth of the same person.
      windows: (n, 80, 16), the speech of each.
    """
    faces = np.zeros((2, self.part, self.image_size, self.image_size, 3), np.uint8)
    mels = np.zeros((self.part, *windows.shape[1:]), np.float32)
    faces[0, : len(crops)], faces[1, : len(crops)], mels[: len(crops)] = crops, references, windows
    return self.workers.submit(lambda: np.asarray(self.generate(*faces, mels))[: len(crops)])

  def generate(self, targets: Any, references: Any, mels: Any) -> jax.Array:
    """Generates one part in this thread, and waits for it: (part, s, s, 3) uint8, twice, and windows of speech."""
    targets, references, mels = jax.device_put((targets, references, mels), self._split)
    apply = self.network.parts if self._warps else self.network
    return jax.block_until_ready(apply(_faces(targets, references), mels))


def load_generator(
  checkpoint: str | os.PathLike[str] | Callable[..., Any], trust_stablehlo: bool = False
) -> Callable[..., Any]:
  """Returns the generator of a checkpoint directory, or the one that is given.

  Raises:
    UserError: there is none, or it is StableHLO and not trusted.
  """
  if callable(checkpoint):
    return checkpoint
  network = pretrained.load(checkpoint, trust_stablehlo)
  if network.config.task != 'generator':
    raise UserError(f'{checkpoint} holds a {network.config.task}: dubbing needs a generator')
  return network


def made_fast(network: pretrained.Pretrained, precision: str) -> pretrained.Pretrained:
  """BatchNorm folded, and convolutions in bfloat16 if that is wanted, by Winograd's algorithm where that is faster.

  Parameters and statistics stay in float32, whatever convolutions and Fourier transforms compute in.
  """
  on_cpu = jax.default_backend() == 'cpu'
  if precision == 'auto':
    precision = 'float32' if on_cpu else 'bfloat16'
  if network.silent is not None:
    network = dataclasses.replace(network, silent=made_fast(network.silent, precision))
  network = pretrained.folded(network)
  if on_cpu and precision == 'float32':
    network = pretrained.with_fewer_multiplications(network)
  return dataclasses.replace(network, model=network.model.clone(dtype=jnp.dtype(precision)))
