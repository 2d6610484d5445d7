"""Flax modules, and nothing else: they know of no files, devices or losses."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from lpips_jax.conventions import WINDOW_FRAMES
from lpips_jax.models.discriminator import Discriminator
from lpips_jax.models.generator import Generator
from lpips_jax.models.sync_expert import SyncExpert
from lpips_jax.models.wav2lip import Wav2Lip

MODELS = {'attn_wav2lip': Generator, 'wav2lip': Wav2Lip, 'sync_expert': SyncExpert, 'discriminator': Discriminator}


def build(config: ConfigDict) -> nn.Module:
  """Returns the module of a model config: `name` chooses it, `dtype` is what it computes in, the rest are its fields.

  Raises:
    ValueError: there is no model of that name.
    TypeError: it has no such field.
  """
  fields = {key: value for key, value in config.items() if key not in ('name', 'image_size')}
  if config.name not in MODELS:
    raise ValueError(f'no model is called {config.name!r}; there are {", ".join(sorted(MODELS))}')
  module = MODELS[config.name]
  if 'image_size' in module.__dataclass_fields__:
    fields['image_size'] = config.image_size
  return module(**fields | {'dtype': jnp.dtype(config.dtype)})


def example_inputs(config: ConfigDict) -> tuple[jax.ShapeDtypeStruct, ...]:
  """Returns the shapes of one example of what the module of a model config is called with: images, and mels if any."""
  size = config.image_size
  mel = jax.ShapeDtypeStruct((1, 80, 16), jnp.float32)
  if config.name == 'sync_expert':
    return jax.ShapeDtypeStruct((1, WINDOW_FRAMES, size, size, 3), jnp.float32), mel
  if config.name == 'discriminator':
    return (jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32),)
  return jax.ShapeDtypeStruct((1, size, size, 6), jnp.float32), mel
