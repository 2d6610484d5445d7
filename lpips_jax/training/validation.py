"""Values that no run can have, told before anything is made for it."""

import functools
import json
import math
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import jax
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.audio.loudness import NORMALISED, level_of
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.models.generator import FUSIONS, OUTPUTS, SPEECHES
from lpips_jax.models.sync_expert import VIEWS
from lpips_jax.models.wav2lip import IMAGE_SIZE
from lpips_jax.perceptual.vgg import MIN_SIZE
from lpips_jax.training.generator_step import SYNC_LOSSES
from lpips_jax.training.optimizer import SCALING

TASKS = {'sync_expert': ('sync_expert',), 'generator': ('attn_wav2lip', 'wav2lip')}  # and their networks
DTYPES = 'float32', 'bfloat16'
SIGNED = ('data.lead',)  # all other numbers are 0 or more
LEAST = dict.fromkeys(('steps', 'log_every', 'eval_every', 'checkpoint_every', 'keep', 'accumulate'), 1)
LEAST |= dict.fromkeys(('data.batch_size', 'data.windows', 'data.eval_batches', 'optimizer.batch_size'), 1)
LEAST |= dict.fromkeys(('minimum_offset', 'diagnosis_clips'), 1)
POSITIVE = 'optimizer.learning_rate', 'optimizer.clip_norm', 'perceptual.width'
# From 0 to 1:
SHARES = 'data.shifted', *(f'data.augment.{name}' for name in ('flip', 'jpeg', 'silence', 'misheard', 'voice'))
BELOW_1 = 'average_decay', 'optimizer.b1', 'optimizer.b2', 'data.augment.colour', 'data.augment.crop', 'model.dropout'
MOST_STEPS = 2**31 - 1  # they are counted in int32


def check_config(config: ConfigDict) -> None:
  """Raises UserError, which names the key, for values that no run can have."""
  _check_choice(config, 'task', TASKS)
  _check_choice(config, 'model.name', TASKS[config.task])
  for name, value in _numbers(config):
    _check_number(name, value)
  if level_of(config) != NORMALISED:
    raise UserError(f'config.data.level={level_of(config)!r}: speech is brought to one level, give {NORMALISED!r}')
  _check_steps(config)
  _check_losses(config)
  _check_network(config, 'model')
  if config.task == 'generator' and config.losses.adversarial:
    _check_choice(config, 'discriminator.name', ('discriminator',))
    _check_network(config, 'discriminator')


def _check_number(name: str, value: float) -> None:
  if not math.isfinite(value) or (value < 0 and name not in SIGNED):
    _refuse(name, value, f'must be {"finite" if name in SIGNED else "0 or more, and finite"}')
  if value < LEAST.get(name, -math.inf):
    _refuse(name, value, f'must be at least {LEAST[name]}')
  if name in POSITIVE and value == 0:
    _refuse(name, value, 'must be more than 0')
  if name in SHARES and value > 1:
    _refuse(name, value, 'must be from 0 to 1')
  if name in BELOW_1 and value >= 1:
    _refuse(name, value, 'must be 0 or more, and less than 1')


def _check_steps(config: ConfigDict) -> None:
  if config.steps > MOST_STEPS:
    _refuse('steps', config.steps, f'must be at most {MOST_STEPS}')
  if config.data.batch_size % config.accumulate:
    raise UserError(
      f'config.accumulate={config.accumulate} does not divide config.data.batch_size={config.data.batch_size}'
    )
  if config.optimizer.warmup_steps >= config.steps:
    raise UserError(
      f'config.optimizer.warmup_steps={config.optimizer.warmup_steps} must be less than config.steps={config.steps}: '
      'a short run needs a short warm-up'
    )
  _check_choice(config, 'optimizer.scaling', SCALING)


def _check_losses(config: ConfigDict) -> None:
  if config.task == 'generator':
    _check_choice(config, 'losses.adversarial_kind', ('bce', 'hinge'))
    _check_choice(config, 'losses.sync_kind', SYNC_LOSSES)
    _check_choice(config, 'data.reference', ('rest', 'elsewhere'))
    if config.losses.triplet and config.model.image_size < 2 * MIN_SIZE:
      raise UserError(
        f'config.losses.triplet={config.losses.triplet} needs config.model.image_size={2 * MIN_SIZE} or more, of which '
        'it sees the lower half'
      )
    if config.silent_generator and config.model.get('output') == 'warp':
      raise UserError(
        'config.silent_generator and config.model.output=warp exclude each other, as that moves the pixels of the '
        'reference as it was filmed: give --config.model.output=change or image'
      )
    return
  _check_choice(config, 'losses.negatives', ('batch', 'clip'))
  if not config.losses.bce + config.losses.contrastive:
    raise UserError('config.losses.bce and config.losses.contrastive are both 0: nothing would be learnt')


def _check_network(config: ConfigDict, name: str) -> None:
  network = config[name]
  if network.name == 'sync_expert':
    _check_choice(config, f'{name}.view', VIEWS)
    _check_choice(config, f'{name}.speech', SPEECHES)
  if network.name == 'attn_wav2lip':
    _check_choice(config, f'{name}.fusion', FUSIONS)
    _check_choice(config, f'{name}.speech', SPEECHES)
    _check_choice(config, f'{name}.output', OUTPUTS)
  if name == 'model':  # the discriminator computes in what this does
    _check_choice(config, 'model.dtype', DTYPES)
    _check_image_size(network)
  problem = _problem_of_network(json.dumps(network.to_dict(), sort_keys=True))
  if problem:
    raise UserError(f'config.{name}: {problem}')


def _check_image_size(model: ConfigDict) -> None:
  if model.name == 'wav2lip' and model.image_size != IMAGE_SIZE:
    raise UserError(f'config.model.image_size={model.image_size}: Wav2Lip has {IMAGE_SIZE} and no other')
  widths = model.get('widths', (0,))
  multiple = 2 ** (len(widths) - 1) if isinstance(widths, tuple) and widths else 1
  if model.image_size < 16 or model.image_size % multiple:
    raise UserError(f'config.model.image_size={model.image_size} must be 16 or more and a multiple of {multiple}')


@functools.cache
def _problem_of_network(values: str) -> str | None:
  """What is wrong with a network of these values, which are JSON: its shapes are tried, and nothing is computed."""
  config = ConfigDict(json.loads(values))
  try:
    network = models.build(config)
  except (ValueError, TypeError) as error:  # it has no such field
    return str(error)
  try:
    out, _ = jax.eval_shape(network.init_with_output, jax.random.key(0), *models.example_inputs(config))
  except Exception as error:  # whatever widths that are none, or too few, come to
    return f'no {config.name} can be made of these values ({first_line(error)})'
  if config.name == 'sync_expert' and out[0].shape != out[1].shape:
    return f'face_widths and audio_widths must end alike, not with {out[0].shape[-1]} and {out[1].shape[-1]}'
  return None


def _check_choice(config: ConfigDict, name: str, choices: Any) -> None:
  value = attrgetter(name)(config)
  if value not in choices:
    raise UserError(f'config.{name}={value!r}: there are {", ".join(choices)}')


def _refuse(name: str, value: float, rule: str) -> None:
  raise UserError(f'config.{name}={value} {rule}')


def flat(config: ConfigDict, prefix: str = '') -> dict[str, Any]:
  """The values of a config by their names, with dots."""
  values = {}
  for key, value in config.items():
    values |= flat(value, f'{prefix}{key}.') if isinstance(value, ConfigDict) else {prefix + key: value}
  return values


def _numbers(config: ConfigDict) -> Iterator[tuple[str, float]]:
  """All numbers of a config with their names, every one of those in tuples."""
  for name, value in flat(config).items():
    for part in value if isinstance(value, tuple) else (value,):
      if isinstance(part, int | float) and not isinstance(part, bool):
        yield name, part
