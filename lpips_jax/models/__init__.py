"""Flax modules, and nothing else: they know of no files, devices or losses.

A new network is a module with a method `example_inputs`, an entry in `Network`, `MODELS` and, if trained, in
`NETWORKS_OF_TASK`, and a config. A generator is called with `(faces, speech, train)` and keeps `batch_stats`; an expert
is a `SyncExpert`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from lpips_jax.models.av_hubert import AVHubert
from lpips_jax.models.discriminator import Discriminator
from lpips_jax.models.generator import Generator
from lpips_jax.models.inception import Inception
from lpips_jax.models.lip_reader import LipReader
from lpips_jax.models.sync_expert import SyncExpert
from lpips_jax.models.syncnet import SyncNet
from lpips_jax.models.wav2lip import Wav2Lip

Network = AVHubert | Discriminator | Generator | Inception | LipReader | SyncExpert | SyncNet | Wav2Lip
MODELS: dict[str, type[Network]] = {
  'attn_wav2lip': Generator,
  'wav2lip': Wav2Lip,
  'sync_expert': SyncExpert,
  'discriminator': Discriminator,
  'syncnet': SyncNet,
  'inception': Inception,
  'lip_reader': LipReader,
  'av_hubert': AVHubert,
}
NETWORKS_OF_TASK = {  # the `model.name`s that each `config.task` trains
  'sync_expert': ('sync_expert',),
  'av_expert': ('av_hubert',),
  'lip_reader': ('lip_reader',),
  'generator': ('attn_wav2lip', 'wav2lip'),
}


def build(config: ConfigDict) -> nn.Module:
  """Returns the module that a model config describes.

  Args:
    config: `name`, a key of `MODELS`; `image_size`; `dtype`, what the network computes in; the module's other fields.
      With `float32` numbers are kept and added up in float32; for their products see `lpips_jax.layers.precision`.

  Raises:
    ValueError: there is no model of that name.
    TypeError: the module has no such fields.
  """
  fields = {key: value for key, value in config.items() if key not in ('name', 'image_size')}
  fields = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}  # as from JSON
  if config.name not in MODELS:
    raise ValueError(f'no model is called {config.name!r}; there are {", ".join(sorted(MODELS))}')
  module = MODELS[config.name]
  if unknown := sorted(fields.keys() - module.__dataclass_fields__.keys()):
    others = f' nor {len(unknown) - 1} others' if unknown[1:] else ''
    raise TypeError(f'{config.name} has no {unknown[0]}{others}')
  if 'image_size' in module.__dataclass_fields__:
    fields['image_size'] = config.image_size
  return module(**fields | {'dtype': jnp.dtype(config.get('dtype', 'float32'))})


def example_inputs(config: ConfigDict) -> tuple[jax.ShapeDtypeStruct, ...]:
  """Returns the shapes of one example of the inputs that the module of a model config is called with."""
  return build(config).example_inputs(config.image_size)
