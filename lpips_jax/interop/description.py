"""Descriptions of exported networks for callers without this project: inputs, output, and the speech that they hear."""

import json
from typing import Any, NamedTuple

from lpips_jax import models, pretrained
from lpips_jax.audio import av_features, band_energies, mel
from lpips_jax.audio.alphabets import ALPHABETS
from lpips_jax.audio.condition import CONDITIONS, level_of, speech_of, window_length
from lpips_jax.audio.loudness import AS_IS, NORMALISED, TARGET_LEVEL
from lpips_jax.core import constants

BATCH, FRAMES = 'batch', 'frames'  # axes of any length
SEEING_CLIPS = 'lip_reader', 'av_hubert'  # networks of whole clips, without padding


class Input(NamedTuple):
  """An input of a network, float32.

  Attributes:
    name: of it.
    shape: of it; an axis of any length has its name.
    range: its least and greatest value; None if they are not limited.
    meaning: what it is.
  """

  name: str
  shape: tuple[str | int, ...]
  range: tuple[float, float] | None
  meaning: str


def inputs_of(model: Any) -> list[Input]:
  """Returns the inputs of the network of a model config, in the order in which it takes them."""
  axes = (BATCH, FRAMES) if model.name in SEEING_CLIPS else (BATCH,)
  named = (*_INPUTS[model.name], *_speech(model))
  examples = models.example_inputs(model)
  return [
    Input(name, (*axes, *example.shape[len(axes) :]), span, meaning)
    for (name, span, meaning), example in zip(named, examples, strict=True)
  ]


def describe(network: pretrained.Pretrained) -> dict[str, Any]:
  """Returns the description of a network, ready for JSON."""
  config = network.config
  inputs = [
    {
      'name': given.name,
      'shape': list(given.shape),
      'dtype': 'float32',
      'range': given.range and list(given.range),
      'is': given.meaning,
    }
    for given in inputs_of(config.model)
  ]
  description: dict[str, Any] = {'network': config.model.name, 'step': network.step, 'inputs': inputs}
  description['output'] = _OUTPUTS[config.model.name]
  if config.model.name in SEEING_CLIPS:
    description['frame_rate'] = constants.FRAME_RATE
    if config.model.name == 'av_hubert':
      description['sound'] = _SOUND
    else:
      description['alphabet'] = list(ALPHABETS[config.model.alphabet])
  else:
    description |= {
      'mel': _MEL,
      'window': _window(window_length(config.model)),
      'lead': config.get('data', {}).get('lead', 0),
      'speech': _SPEECH[level_of(config.model, config.get('data'))],
    }
  return description | {'config': json.loads(config.to_json_best_effort())}


def _window(length: int) -> str:
  first, before = f'floor({constants.MEL_RATE} (k - lead) / frame rate)', (length - constants.MEL_WINDOW) // 2
  return f'{length} mel frames from {first}{f" - {before}" if before else ""} on belong to frame k'


def _speech(model: Any) -> tuple[tuple[str, tuple[float, float], str], ...]:
  """Returns the input of speech, if the network of a model config hears windows of it."""
  if model.name not in _HEARING:
    return ()
  speech = speech_of(model)
  condition = CONDITIONS[speech]
  return ((_SPEECH_NAMES.get(speech, speech), condition.range, f'windows of {condition.columns}'),)


_HEARING = 'attn_wav2lip', 'wav2lip', 'sync_expert'  # networks with windows of speech as their last input
_SPEECH_NAMES = {'mel': 'mels'}  # of inputs, where they are not those of `CONDITIONS`
_FACES = 'faces', (0, 1), 'RGB crops, the target with the rows from height / 2 on zeroed, then a reference'
_FRAMES = 'frames', (0, 1), 'five whole crops, RGB'
_CLIP = 'frames', (0, 1), 'whole crops of one face, RGB, frame after frame'
_INPUTS: dict[str, tuple[tuple[str, tuple[float, float] | None, str], ...]] = {
  'attn_wav2lip': (_FACES,),  # and speech, as for the next two
  'wav2lip': (_FACES,),
  'sync_expert': (_FRAMES,),
  'lip_reader': (_CLIP,),
  'av_hubert': (('sound', None, 'the sound of each frame, as `sound` describes'), _CLIP),
  'discriminator': (('frames', (0, 1), 'whole crops, RGB'),),
  'syncnet': (('frames', (0, 255), 'five frames, RGB'), ('mfccs', None, '13 MFCCs at 100 Hz')),
  'inception': (('images', (0, 1), 'RGB'),),
}
_GENERATED = 'RGB crops in [0, 1], (batch, height, width, 3)'
_OUTPUTS = {
  'attn_wav2lip': _GENERATED,
  'wav2lip': _GENERATED,
  'sync_expert': 'embeddings of the faces and of the speech, (batch, d) each, of unit length',
  'lip_reader': 'log-odds of the label of each frame, (batch, frames, labels): label k is alphabet[k], and 0 the blank '
  'of CTC: take the likeliest of each frame, make one of equal neighbours, drop blanks',
  'av_hubert': 'features of each frame, of lips and sound together, (batch, frames, d)',
  'discriminator': 'log-odds of being filmed, (batch,)',
  'syncnet': 'features of the faces and of the speech, (batch, 1024) each',
  'inception': 'features, (batch, 2048)',
}
_SPEECH = {
  AS_IS: 'at the level that it has',
  NORMALISED: f'without its mean, and brought to {TARGET_LEVEL} dB of full scale (mean power while somebody speaks)',
}
_MEL = {
  'sample_rate': constants.SAMPLE_RATE,
  'pre_emphasis': mel.PREEMPHASIS,
  'fft_size': mel.FFT_SIZE,
  'window': 'hann, periodic, centred, reflected at the ends',
  'hop': constants.MEL_HOP,
  'bands': constants.MEL_BANDS,
  'scale': 'slaney',
  'lowest_hz': mel.MIN_HERTZ,
  'highest_hz': mel.MAX_HERTZ,
  'of': 'magnitudes',
  'level': f'20 log10(max({mel.MIN_MAGNITUDE}, x)) - {mel.REFERENCE_DB}',
  'value': f'clip({2 * constants.MEL_MAX} (level - {mel.FLOOR_DB}) / {-mel.FLOOR_DB} - {constants.MEL_MAX})',
}
_SOUND = {
  'sample_rate': constants.SAMPLE_RATE,
  'samples': 'on the scale of int16',
  'pre_emphasis': band_energies.PREEMPHASIS,
  'frame': band_energies.FRAME_SAMPLES,
  'hop': band_energies.FRAME_STEP,
  'window': 'none, from the first sample on; the last frame is filled up with zeros',
  'fft_size': band_energies.FFT_SIZE,
  'bands': band_energies.BANDS,
  'scale': 'triangles from 0 Hz to half the sample rate, corners equally spaced in 2595 log10(1 + f / 700), rounded to '
  'floor((fft_size + 1) f / sample_rate)',
  'of': 'power, |FFT|^2 / fft_size',
  'value': 'natural logarithm',
  'stacked': f'{av_features.STACKED} hops to a video frame, the earliest first; zeros where the sound ends',
  'normalised': f'by frame: (x - mean) / sqrt(variance + {av_features.EPSILON})',
}
