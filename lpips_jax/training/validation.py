"""Validates a config before anything expensive starts."""

import json
from functools import cache, partial
from typing import Any

import flax.linen as nn
import jax
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.audio.alphabets import TIMED
from lpips_jax.audio.condition import level_of, speech_of, window_length
from lpips_jax.audio.loudness import NORMALISED
from lpips_jax.core.constants import MEL_WINDOW, WINDOW_FRAMES
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.models import SyncExpert
from lpips_jax.models.wav2lip import IMAGE_SIZE
from lpips_jax.perceptual.vgg import MIN_SIZE
from lpips_jax.training import profiling
from lpips_jax.training.config_schema import NON_NEGATIVE, SCHEMA, Rule, flatten, one_of
from lpips_jax.training.generator_losses import TERMS, needs_clips
from lpips_jax.training.writers import check_writers

MIN_IMAGE_SIZE = 16  # pixels
EXPERTS_HEAR = 'mel', 'phones'  # of which a generator's batch has the windows


def check_config(config: ConfigDict) -> None:
  """Raises UserError, which names the key, for values that no run can have."""
  _check_values(config)
  _check_value('model.name', config.model.name, one_of(models.NETWORKS_OF_TASK[config.task]))
  level = level_of(config.model, config.data)
  if level != NORMALISED:
    raise UserError(f'config.data.level={level!r}: speech is brought to one level, give {NORMALISED!r}')
  _check_steps(config.steps, config.accumulate, config.data.batch_size, config.optimizer.warmup_steps)
  _check_profile(config.profile, config.steps)
  check_writers(config.writers)
  if config.task == 'sync_expert':
    _check_expert_losses(config.losses)
  elif config.task == 'lip_reader':
    _check_lip_reader(config)
  elif config.task == 'av_expert':
    _check_av_expert(config)
  elif config.task == 'generator':
    _check_triplet(config.losses.triplet, config.model.image_size)
    _check_silent_generator(config.silent_generator, config.model.get('output'))
    _check_options(config)
    if needs_clips(config.losses):
      _check_clips(config.data, config.accumulate)
  _check_speech(config.task, config.model)
  _check_image_size(config.model)
  _check_network('model', config.model)
  if config.task == 'generator' and config.losses.adversarial:
    _check_value('discriminator.name', config.discriminator.name, one_of(('discriminator',)))
    _check_network('discriminator', config.discriminator)


def _check_values(config: ConfigDict) -> None:
  """Checks each value by itself; numbers that the schema does not have must be 0 or more."""
  for name, value in flatten(config).items():
    for part in value if isinstance(value, tuple) else (value,):
      number = isinstance(part, int | float) and not isinstance(part, bool)
      rule = SCHEMA.get(name, NON_NEGATIVE if number else None)
      if rule:
        _check_value(name, part, rule)


def _check_steps(steps: int, accumulate: int, batch_size: int, warmup_steps: int) -> None:
  if batch_size % accumulate:
    raise UserError(f'config.accumulate={accumulate} does not divide config.data.batch_size={batch_size}')
  if warmup_steps >= steps:
    raise UserError(
      f'config.optimizer.warmup_steps={warmup_steps} must be less than config.steps={steps}: a short run needs a short '
      'warm-up'
    )


def _check_profile(profile: str, steps: int) -> None:
  try:
    traced = profiling.steps_of(profile)
  except ValueError as error:
    raise UserError(f'config.profile={profile!r} must be FIRST:LAST, such as 100:110, or empty') from error
  if traced and traced[-1] > steps:
    raise UserError(f'config.profile={profile!r} ends after the last step, config.steps={steps}')


def _check_expert_losses(losses: ConfigDict) -> None:
  if not losses.bce + losses.contrastive:
    raise UserError('config.losses.bce and config.losses.contrastive are both 0: nothing would be learnt')


def _check_lip_reader(config: ConfigDict) -> None:
  if config.model.alphabet != config.data.alphabet:
    raise UserError(
      f'config.model.alphabet={config.model.alphabet} is not config.data.alphabet={config.data.alphabet}: give both '
      'the same'
    )
  _check_clip_frames(config.data.clip_frames)
  if not (config.losses.ctc or config.losses.frames):
    raise UserError('config.losses.ctc and config.losses.frames are both 0: nothing would be learnt')
  if not config.losses.ctc and config.data.alphabet not in TIMED:
    raise UserError(f'nobody knows when {config.data.alphabet} are said: give config.losses.ctc more than 0')


def _check_av_expert(config: ConfigDict) -> None:
  if config.model.clusters < 2:
    raise UserError(f'config.model.clusters={config.model.clusters} must be at least 2: clusters are to be predicted')
  if not (config.losses.masked or config.losses.contrastive):
    raise UserError('config.losses.masked and config.losses.contrastive are both 0: nothing would be learnt')
  if config.losses.shift + WINDOW_FRAMES > config.data.clip_frames:
    raise UserError(
      f'config.losses.shift={config.losses.shift} leaves nothing of config.data.clip_frames={config.data.clip_frames}: '
      f'give at most {config.data.clip_frames - WINDOW_FRAMES}'
    )


def _check_speech(task: str, model: ConfigDict) -> None:
  speech = speech_of(model)
  if task == 'sync_expert' and speech not in EXPERTS_HEAR:
    raise UserError(f'config.model.speech={speech} is for generators: an expert hears {" or ".join(EXPERTS_HEAR)}')
  if model.get('taught_by_sound') and speech != 'visemes':
    raise UserError('config.model.taught_by_sound is for config.model.speech=visemes: give both, or neither')
  if window_length(model) % MEL_WINDOW:
    raise UserError(f'config.model.speech_window={model.speech_window} must be a multiple of {MEL_WINDOW}')


def _check_options(config: ConfigDict) -> None:
  for name, term in TERMS.items():
    if term.option and config.losses[name] and not config.model.get(term.option):
      raise UserError(
        f'config.losses.{name}={config.losses[name]} is of networks with config.model.{term.option}: give both, or '
        'neither'
      )


def _check_clip_frames(frames: int) -> None:
  if frames < WINDOW_FRAMES:
    raise UserError(f'config.data.clip_frames={frames} must hold a window: give at least {WINDOW_FRAMES}')


def _check_clips(data: ConfigDict, parts: int) -> None:
  _check_clip_frames(data.clip_frames)
  clips, rest = divmod(data.batch_size, data.windows)
  if rest or clips % parts:
    raise UserError(
      f'config.data.batch_size={data.batch_size} must be a multiple of config.data.windows={data.windows}'
      + (f' and of config.accumulate={parts}, together' if parts > 1 else '')
    )


def _check_triplet(coefficient: float, image_size: int) -> None:
  if coefficient and image_size < 2 * MIN_SIZE:
    raise UserError(
      f'config.losses.triplet={coefficient} needs config.model.image_size={2 * MIN_SIZE} or more, as it sees the lower '
      'half'
    )


def _check_silent_generator(silent_generator: str, output: str | None) -> None:
  if silent_generator and output == 'warp':
    raise UserError(
      'config.silent_generator and config.model.output=warp exclude each other, as warping moves the pixels of the '
      'reference as it was filmed: give config.model.output=change or image'
    )


def _check_image_size(model: ConfigDict) -> None:
  if model.name == 'wav2lip' and model.image_size != IMAGE_SIZE:
    raise UserError(f'config.model.image_size={model.image_size}: Wav2Lip has {IMAGE_SIZE} and no other')
  widths = model.get('widths', (0,))
  multiple = 2 ** (len(widths) - 1) if isinstance(widths, tuple) and widths else 1
  if model.image_size < MIN_IMAGE_SIZE or model.image_size % multiple:
    raise UserError(
      f'config.model.image_size={model.image_size} must be {MIN_IMAGE_SIZE} or more and a multiple of {multiple}'
    )


def _check_network(key: str, config: ConfigDict) -> None:
  problem = _problem_of_network(json.dumps(config.to_dict(), sort_keys=True))
  if problem:
    raise UserError(f'config.{key}: {problem}')


@cache
def _problem_of_network(values: str) -> str | None:
  """The reason why no network can be built of these values, which are JSON; only shapes are computed."""
  config = ConfigDict(json.loads(values))
  try:
    network = models.build(config)
  except ValueError as error:
    return str(error)
  except TypeError as error:  # the config was made for another network
    return f'{error}: take a config that was made for {config.name}'
  inputs = models.example_inputs(config)
  try:
    if isinstance(network, SyncExpert):
      faces = _output_shape(network, inputs[0], method=SyncExpert.embed_faces)
      speech = _output_shape(network, inputs[1], method=SyncExpert.embed_speech)
      if faces != speech:
        return f'face_widths and audio_widths must end alike, not with {faces[-1]} and {speech[-1]}'
    else:
      _output_shape(network, *inputs)
  except Exception as error:  # whatever widths that are impossible, or too few, lead to
    return f'no {config.name} can be made of these values ({first_line(error)})'
  return None


def _output_shape(network: nn.Module, *inputs: jax.ShapeDtypeStruct, **options: Any) -> tuple[int, ...]:
  out, _ = jax.eval_shape(partial(network.init_with_output, **options), jax.random.key(0), *inputs)
  return out.shape


def _check_value(name: str, value: Any, rule: Rule) -> None:
  if not rule.accepts(value):
    raise UserError(f'config.{name}={value!r}{rule.problem}')
