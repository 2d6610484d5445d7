"""The generator as dubbing uses it: in batches of one shape, on all devices of this process, without waiting."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from typing import Any, Protocol, cast

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from lpips_jax import pretrained
from lpips_jax.audio.condition import level_of, speech_of, window_length
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.core.machine import available_cores
from lpips_jax.dubbing.options import default_reference
from lpips_jax.models import example_inputs
from lpips_jax.models.inputs import generator_faces
from lpips_jax.pretrained.devices import batch_sharding, on_all_devices

BATCHES_AHEAD = 2  # given to an accelerator at once, so that it need not wait for the next one

_faces = jax.jit(generator_faces)


class GeneratorNetwork(Protocol):
  """A generator as a function with a config: `Pretrained`, `Exported`, or somebody else's."""

  @property
  def config(self) -> ConfigDict:
    """The config of its training run."""

  def __call__(self, faces: Any, mels: Any, /) -> Any:
    """Maps faces, (n, s, s, 6), and windows, (n, 80, steps), to images, (n, s, s, 3)."""


class BatchedGenerator:
  """A generator that is called with lists of crops, and returns at once.

  On a CPU a batch is divided among threads, each of which generates a part of it: XLA's convolutions, one after the
  other, leave all cores but one idle half of the time.

  Args:
    network: from `load_generator`.
    batch_size: faces at once.
    precision: `float32`, `bfloat16`, or `auto`: bfloat16 where there is hardware for it, GPU or TPU.

  Attributes:
    network: the network as it runs.
    batch_size: faces at once, by all threads together.
    part_size: faces at once, by one thread; a multiple of the number of devices.
    image_size: side of a face crop in pixels.
    lead: seconds by which the speech window of a frame starts before it.
    level: the level of the speech that it hears: see `audio.loudness.mel_of`.
    speech, speech_window: the form in which it hears speech, and the steps of a window; see `audio.condition`.
    reference: the reference that it was trained with: 'rest' or 'frame'; see `Options`.
    workers: the threads.
  """

  def __init__(self, network: GeneratorNetwork, batch_size: int, precision: str) -> None:
    compiled = isinstance(network, pretrained.Pretrained)
    if isinstance(network, pretrained.Pretrained):
      network = on_all_devices(made_fast(network, precision))
    self.network, self._sharding = network, batch_sharding(network)
    devices = 1 if self._sharding is None else self._sharding.mesh.size
    on_cpu = jax.default_backend() == 'cpu'
    parts = max(1, available_cores() // devices) if compiled and on_cpu else 1
    self.batch_size = batch_size
    self.part_size = -(-batch_size // (parts * devices)) * devices
    self.image_size = network.config.model.image_size
    self.lead = Fraction(network.config.data.lead) / FRAME_RATE
    self.level = level_of(network.config.model, network.config.get('data'))
    self.speech, self.speech_window = speech_of(network.config.model), window_length(network.config.model)
    self.reference = default_reference(network.config.data)
    self._apply: Callable[..., Any] = network
    if isinstance(network, pretrained.Pretrained) and network.config.model.get('output') == 'warp':
      self._apply = network.parts
    self.workers = ThreadPoolExecutor(parts if on_cpu else BATCHES_AHEAD, 'generator')
    if compiled:  # before there are frames to hold: compilers take memory, too
      face = np.zeros((self.image_size, self.image_size, 3), np.uint8)
      self([face], [face], np.zeros((1, *example_inputs(network.config.model)[1].shape[1:]), np.float32)).result()

  def __call__(
    self, crops: Sequence[np.ndarray], references: Sequence[np.ndarray], windows: np.ndarray
  ) -> Future[np.ndarray]:
    """Starts to generate faces.

    Args:
      crops: n <= part_size faces, each (s, s, 3) uint8.
      references: likewise, each showing a mouth of the same person.
      windows: (n, 80, steps), the speech of each.

    Returns:
      The future images, (n, s, s, 3) in [0, 1]. A network that warps gives (n, s, s, 6) instead, which
      `faces.warping.compose` applies to faces of any size.
    """
    faces = np.zeros((2, self.part_size, self.image_size, self.image_size, 3), np.uint8)
    mels = np.zeros((self.part_size, *windows.shape[1:]), np.float32)
    faces[0, : len(crops)], faces[1, : len(crops)], mels[: len(crops)] = crops, references, windows
    return self.workers.submit(lambda: np.asarray(self.generate(faces[0], faces[1], mels))[: len(crops)])

  def generate(self, targets: Any, references: Any, mels: Any) -> jax.Array:
    """Generates one part in this thread, and waits for it.

    Args:
      targets: (part_size, s, s, 3) uint8.
      references: likewise.
      mels: (part_size, 80, steps) float32.
    """
    targets, references, mels = jax.device_put((targets, references, mels), self._sharding)
    return jax.block_until_ready(self._apply(_faces(targets, references), mels))


def load_generator(checkpoint: PathLike | Callable[..., Any], trust_stablehlo: bool = False) -> GeneratorNetwork:
  """Returns the generator of a checkpoint directory, or the one that is given.

  Raises:
    UserError: the directory holds no generator, or StableHLO that is not trusted.
  """
  if callable(checkpoint):
    return cast(GeneratorNetwork, checkpoint)  # given by the caller, with a config
  network = pretrained.load(os.fspath(checkpoint), trust_stablehlo)
  if network.config.task != 'generator':
    raise UserError(f'{checkpoint} holds a {network.config.task}: dubbing needs a generator')
  return network


def made_fast(network: pretrained.Pretrained, precision: str) -> pretrained.Pretrained:
  """Returns the network with BatchNorm folded, and convolutions in bfloat16 or by Winograd's algorithm.

  Parameters and statistics stay in float32, whatever convolutions and Fourier transforms compute in. Winograd's
  algorithm is used where it is faster: in float32 on CPUs.

  Args:
    network: as trained.
    precision: see `BatchedGenerator`.
  """
  on_cpu = jax.default_backend() == 'cpu'
  if precision == 'auto':
    precision = 'float32' if on_cpu else 'bfloat16'
  if network.silent is not None:
    network = dataclasses.replace(network, silent=made_fast(network.silent, precision))
  network = pretrained.folded(network)
  if on_cpu and precision == 'float32':
    network = pretrained.with_winograd(network)
  return dataclasses.replace(network, model=network.model.clone(dtype=jnp.dtype(precision)))
