"""Exports a trained network, with its averaged weights only, for other programs.

  python -m lpips_jax.interop.export runs/lrs2/checkpoint exported --format=stablehlo --fold

  orbax: a checkpoint directory as training leaves it, without what only training needs.
  safetensors: DST/model.safetensors, variables by their path; the config among its metadata.
  stablehlo: DST/model.stablehlo, weights inside, for any batch size on CPU, CUDA and TPU. A process with JAX runs it:
    jax.export.deserialize(Path('DST/model.stablehlo').read_bytes()).call(faces, mels)
  onnx: DST/model.onnx, weights inside, for any batch size (needs jax2onnx).

DST/model.json beside it describes the inputs' names, shapes and ranges, and how the mel spectrogram is computed. --fold
folds BatchNorm into the convolutions. Every command takes checkpoint directories; those made with --fold are only for
commands that do not train. lpips_jax.interop.convert converts safetensors back. infer.py and evaluate.py take StableHLO
with --trust_stablehlo, as it is a program; lpips_jax.load takes it with trust_stablehlo=True. Both directories may be
URLs, gs://… or s3://….
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from jax import export as jax_export

from lpips_jax import models, pretrained
from lpips_jax.audio import mel
from lpips_jax.audio.condition import CONDITIONS, level_of, speech_of
from lpips_jax.audio.loudness import AS_IS, NORMALISED, TARGET_LEVEL
from lpips_jax.core import cli, constants
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, whole_directory, write_whole
from lpips_jax.pretrained import model_card
from lpips_jax.pretrained.checkpoint_dir import DESCRIPTION_FILE, SAFETENSORS_FILE, STABLEHLO_FILE
from lpips_jax.storage.transfer import local_output_directory

PLATFORMS = 'cpu', 'cuda', 'tpu'
WITH_SILENT_GENERATOR = 'orbax', 'stablehlo'  # formats that can hold one beside the generator


def define_flags() -> None:
  flags.DEFINE_string('checkpoint', None, 'What to export: a checkpoint directory.')
  flags.DEFINE_string('destination', None, 'The directory to create.')
  flags.DEFINE_enum('format', 'orbax', list(FORMATS), 'The file format.')
  flags.DEFINE_boolean('fold', False, 'Folds BatchNorm into the convolutions.')


def main() -> None:
  cli.require_flags('checkpoint', 'destination')
  given = flags.FLAGS
  export(given.checkpoint, given.destination, given.format, given.fold)
  print(f'wrote {given.destination}')


def export(checkpoint: str | Path, destination: PathLike, format: str, fold: bool = False) -> None:
  """Writes a network's averaged weights, complete or not at all.

  Args:
    checkpoint: see `pretrained.load`; not StableHLO.
    destination: the directory to create, or its URL.
    format: a key of `FORMATS`.
    fold: whether to fold BatchNorm into the convolutions.

  Raises:
    UserError: the checkpoint cannot be read, the format cannot hold its silent generator, or the destination exists.
    OSError: the destination cannot be written.
  """
  with local_output_directory(destination) as made, whole_directory(made) as directory:
    network = pretrained.load_weights(checkpoint)
    if network.silent is not None and format not in WITH_SILENT_GENERATOR:
      raise UserError(
        f'{checkpoint} has a silent generator, which {format} cannot hold: give format=stablehlo or orbax', 'format'
      )
    if fold:
      network = pretrained.folded(network)
    FORMATS[format](directory, network)
    _write_card(directory, checkpoint, network)
    description = describe(network)
    if (program := directory / STABLEHLO_FILE).is_file():
      description['sha256'] = hashlib.sha256(program.read_bytes()).hexdigest()
    write_whole(directory / DESCRIPTION_FILE, json.dumps(description, indent=2) + '\n')


def describe(network: pretrained.Pretrained) -> dict[str, Any]:
  """Returns what a caller without this project needs to know: inputs, output, spectrogram, config; ready for JSON."""
  config = network.config
  names = (*_INPUTS[config.model.name], *_speech(config.model))
  shapes = models.example_inputs(config.model)
  inputs = [
    {
      'name': name,
      'shape': ['batch', *shape.shape[1:]],
      'dtype': 'float32',
      'range': span and list(span),
      'is': meaning,
    }
    for (name, span, meaning), shape in zip(names, shapes, strict=True)
  ]
  return {
    'network': config.model.name,
    'step': network.step,
    'inputs': inputs,
    'output': _OUTPUTS[config.model.name],
    'mel': _MEL,
    'window': f'{constants.MEL_WINDOW} mel frames from floor({constants.MEL_RATE} (k - lead) / frame rate) on '
    'belong to frame k',
    'lead': config.get('data', {}).get('lead', 0),
    'speech': _SPEECH[level_of(config.model, config.get('data'))],
    'config': json.loads(config.to_json_best_effort()),
  }


def _speech(model: Any) -> tuple[tuple[str, tuple[float, float], str], ...]:
  """Returns the input of speech, if the network of a model config has one."""
  if model.name not in _HEARING:
    return ()
  speech = speech_of(model)
  condition = CONDITIONS[speech]
  return ((_SPEECH_NAMES.get(speech, speech), condition.range, f'windows of {condition.columns}'),)


def _write_card(directory: Path, checkpoint: str | Path, network: pretrained.Pretrained) -> None:
  """Copies the checkpoint's card; a checkpoint without one gets a new card, without an evaluation."""
  kept = pretrained.find(checkpoint) / model_card.FILE
  if kept.is_file():
    write_whole(directory / model_card.FILE, kept.read_text())
  else:
    model_card.write(directory, network.config, network.variables, network.step, None)


_HEARING = 'attn_wav2lip', 'wav2lip', 'sync_expert'  # networks with speech as their last input
_SPEECH_NAMES = {'mel': 'mels'}  # of inputs, where they are not those of `CONDITIONS`
_FACES = 'faces', (0, 1), 'RGB crops, the target with the rows from height / 2 on zeroed, then a reference'
_FRAMES = 'frames', (0, 1), 'five whole crops, RGB'
_INPUTS = {
  'attn_wav2lip': (_FACES,),  # and speech, as for the next two
  'wav2lip': (_FACES,),
  'sync_expert': (_FRAMES,),
  'discriminator': (('frames', (0, 1), 'whole crops, RGB'),),
  'syncnet': (('frames', (0, 255), 'five frames, RGB'), ('mfccs', None, '13 MFCCs at 100 Hz')),
  'inception': (('images', (0, 1), 'RGB'),),
}
_GENERATED = 'RGB crops in [0, 1], (batch, height, width, 3)'
_OUTPUTS = {
  'attn_wav2lip': _GENERATED,
  'wav2lip': _GENERATED,
  'sync_expert': 'embeddings of the faces and of the speech, (batch, d) each, of unit length',
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


def _write_safetensors(directory: Path, network: pretrained.Pretrained) -> None:
  from safetensors.numpy import save_file

  leaves = jax.tree_util.tree_leaves_with_path(network.variables)
  arrays = {'.'.join(key.key for key in path): np.asarray(leaf) for path, leaf in leaves}
  metadata = {'config': network.config.to_json_best_effort(), 'step': str(network.step)}
  save_file(arrays, directory / SAFETENSORS_FILE, metadata)


def _write_stablehlo(directory: Path, network: pretrained.Pretrained) -> None:
  (batch,) = jax_export.symbolic_shape('batch')
  examples = models.example_inputs(network.config.model)
  inputs = [jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype) for x in examples]
  exported = jax_export.export(jax.jit(network.__call__), platforms=PLATFORMS)(*inputs)
  write_whole(directory / STABLEHLO_FILE, bytes(exported.serialize()))


def _write_onnx(directory: Path, network: pretrained.Pretrained) -> None:
  from lpips_jax.interop import onnx_files

  names = tuple(name for name, _, _ in _INPUTS[network.config.model.name])
  onnx_files.write(directory / 'model.onnx', network, names)


FORMATS = {
  'orbax': pretrained.save,
  'safetensors': _write_safetensors,
  'stablehlo': _write_stablehlo,
  'onnx': _write_onnx,
}


if __name__ == '__main__':
  define_flags()
  cli.run(main, 'checkpoint', 'destination', remote=('checkpoint', 'destination'))
