"""The generator as dubbing uses it: batches of one shape, on all devices of this process, begun and not waited for."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lpips_jax import pretrained
from lpips_jax.cli import UserError
from lpips_jax.conventions import FRAME_RATE
from lpips_jax.devices import along_batch, on_all_devices
from lpips_jax.media.audio import MEL_BANDS, WINDOW
from lpips_jax.models.inputs import generator_faces

_faces = jax.jit(generator_faces)


class Generator:
  """A network that gives faces new mouths.

  Args:
    network: from `load_generator`.
    batch_size: faces at once; rounded up to a multiple of the number of devices.
    precision: `float32`, `bfloat16`, or `auto`: bfloat16 where there is hardware for it, GPU or TPU.

  Attributes:
    network: as it is used.
    batch_size: faces at once.
    image_size: sides of a face crop in pixels.
    lead: seconds by which the speech window of a frame starts before it.
  """

  def __init__(self, network: Callable[..., Any], batch_size: int, precision: str) -> None:
    ours = isinstance(network, pretrained.Pretrained)
    if ours:
      network = on_all_devices(_computing_in(pretrained.folded(network), precision))
    self.network, self._split = network, along_batch(network)
    devices = 1 if self._split is None else self._split.mesh.size
    self.batch_size = -(-batch_size // devices) * devices
    self.image_size = network.config.model.image_size
    self.lead = Fraction(network.config.data.lead) / FRAME_RATE
    if ours:  # compiled before there are frames to hold: compilers take memory, too
      face = np.zeros((self.image_size, self.image_size, 3), np.uint8)
      jax.block_until_ready(self([face], [face], np.zeros((1, MEL_BANDS, WINDOW), np.float32)))

  def __call__(self, crops: Sequence[np.ndarray], references: Sequence[np.ndarray], windows: np.ndarray) -> Any:
    """Begins to generate, and returns what will be (batch_size, s, s, 3) in [0, 1]; the first n of them count.

    Args:
      crops: n <= batch_size, each (s, s, 3) uint8: the faces.
      references: likewise, showing a mouth of the same person.
      windows: (n, 80, 16), the speech of each.
    """
    faces = np.zeros((2, self.batch_size, self.image_size, self.image_size, 3), np.uint8)
    mels = np.zeros((self.batch_size, *windows.shape[1:]), np.float32)
    faces[0, : len(crops)], faces[1, : len(crops)], mels[: len(crops)] = crops, references, windows
    target, reference, mels = jax.device_put((*faces, mels), self._split)
    return self.network(_faces(target, reference), mels)


def load_generator(checkpoint: str | os.PathLike[str] | Callable[..., Any]) -> Callable[..., Any]:
  """Returns the generator of a checkpoint directory, or the one that is given.

  Raises:
    UserError: there is none.
  """
  if callable(checkpoint):
    return checkpoint
  network = pretrained.load(checkpoint)
  if network.config.task != 'generator':
    raise UserError(f'{checkpoint} holds a {network.config.task}: dubbing needs a generator')
  return network


def _computing_in(network: pretrained.Pretrained, precision: str) -> pretrained.Pretrained:
  """Parameters stay in float32, and so do statistics and Fourier transforms, whatever the convolutions compute in."""
  if precision == 'auto':
    precision = 'float32' if jax.default_backend() == 'cpu' else 'bfloat16'
  return dataclasses.replace(network, model=network.model.clone(dtype=jnp.dtype(precision)))
