"""Flax modules, and nothing else: they know of no files, devices or losses."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.models.discriminator import Discriminator
from lpips_jax.models.generator import Generator
from lpips_jax.models.inception import Inception
from lpips_jax.models.sync_expert import SyncExpert
from lpips_jax.models.syncnet import SyncNet
from lpips_jax.models.wav2lip import Wav2Lip

MODELS = {
  'attn_wav2lip': Generator,
  'wav2lip': Wav2Lip,
  'sync_expert': SyncExpert,
  'discriminator': Discriminator,
  'syncnet': SyncNet,
  'inception': Inception,
}


def build(config: ConfigDict) -> nn.Module:
  """Returns the module of a model config: `name` chooses it, the rest are its fields, `dtype` what it computes in.

  `float32` says how numbers are kept and added up; in which precision they are multiplied, see `lpips_jax.layers.precision`.

  Raises:
    ValueError: there is no model of that name.
    TypeError: it has no such field.
  """
  fields = {key: value for key, value in config.items() if key not in ('name', 'image_size')}
  fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}  # as from JSON
  if config.name not in MODELS:
    raise ValueError(f'no model is called {config.name!r}; there are {", ".join(sorted(MODELS))}')
  module = MODELS[config.name]
  if 'image_size' in module.__dataclass_fields__:
    fields['image_size'] = config.image_size
  return module(**fields | {'dtype': jnp.dtype(config.get('dtype', 'float32'))})


def example_inputs(config: ConfigDict) -> tuple[jax.ShapeDtypeStruct, ...]:
  """Returns the shapes of one example of what the module of a model config is called with: images, and mels if any."""
  size = config.image_size
  image, images = (1, size, size, 3), (1, WINDOW_FRAMES, size, size, 3)
  mel, mfcc = (1, 80, 16), (1, 13, 20)
  shapes = {'sync_expert': (images, mel), 'syncnet': (images, mfcc), 'discriminator': (image,), 'inception': (image,)}
  generator = (1, size, size, 6), mel
  return tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes.get(config.name, generator))
