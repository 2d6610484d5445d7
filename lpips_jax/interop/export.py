"""Exports a trained network, with its averaged weights only, for other programs.

  python -m lpips_jax.interop.export runs/lrs2/checkpoint exported --format=stablehlo --fold

  orbax: a checkpoint directory as training leaves it, without what only training needs.
  safetensors: DST/model.safetensors, variables by their path; the config among its metadata.
  stablehlo: DST/model.stablehlo, weights inside, for any batch size on CPU, CUDA and TPU; of networks that see whole
    clips for any number of frames, too. A process with JAX runs it:
    jax.export.deserialize(Path('DST/model.stablehlo').read_bytes()).call(faces, mels)
  onnx: DST/model.onnx, weights inside, for any batch size (needs jax2onnx); not of networks that see whole clips.

DST/model.json beside it describes the inputs' names, shapes and ranges, how what is heard is computed, and what the
output means. Parts of a network that training alone uses are left out, whatever the format. --fold folds BatchNorm into
the convolutions. Every command takes checkpoint directories; those made with --fold are only for commands that do not
train. lpips_jax.interop.convert converts safetensors back. infer.py and evaluate.py take StableHLO with
--trust_stablehlo, as it is a program; lpips_jax.load takes it with trust_stablehlo=True. Both directories may be URLs,
gs://… or s3://….
"""

import dataclasses
import hashlib
import json
from pathlib import Path

import jax
import numpy as np
from absl import flags
from jax import export as jax_export
from ml_collections import ConfigDict

from lpips_jax import pretrained
from lpips_jax.core import cli
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, whole_directory, write_whole
from lpips_jax.interop.description import SEEING_CLIPS, describe, inputs_of
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
    UserError: the checkpoint cannot be read, the format cannot hold the network or its silent generator, or the
      destination exists.
    OSError: the destination cannot be written.
  """
  with local_output_directory(destination) as made, whole_directory(made) as directory:
    network = pretrained.load_weights(checkpoint)
    if network.silent is not None and format not in WITH_SILENT_GENERATOR:
      raise UserError(
        f'{checkpoint} has a silent generator, which {format} cannot hold: give format=stablehlo or orbax', 'format'
      )
    if format == 'onnx' and network.config.model.name in SEEING_CLIPS:
      raise UserError(
        f'{checkpoint} sees whole clips, whose mouths jax2onnx cannot resize for any number of frames: give '
        'format=stablehlo',
        'format',
      )
    network = _with_terms(
      pretrained.folded(network) if fold else pretrained.without_training_parts(network), checkpoint
    )
    FORMATS[format](directory, network)
    _write_card(directory, checkpoint, network)
    description = describe(network)
    if (program := directory / STABLEHLO_FILE).is_file():
      description['sha256'] = hashlib.sha256(program.read_bytes()).hexdigest()
    write_whole(directory / DESCRIPTION_FILE, json.dumps(description, indent=2) + '\n')


def _with_terms(network: pretrained.Pretrained, checkpoint: str | Path) -> pretrained.Pretrained:
  """Notes in the config the terms of the networks that taught one, as they themselves are left behind."""
  directory = pretrained.find(checkpoint)
  if not any(model_card.frozen_terms(directory).values()):
    return network
  config = ConfigDict(network.config.to_dict() | {'terms': model_card.terms_of(directory)})
  return dataclasses.replace(network, config=config)


def _write_card(directory: Path, checkpoint: str | Path, network: pretrained.Pretrained) -> None:
  """Copies the checkpoint's card; a checkpoint without one gets a new card, without an evaluation."""
  kept = pretrained.find(checkpoint) / model_card.FILE
  if kept.is_file():
    write_whole(directory / model_card.FILE, kept.read_text())
  else:
    model_card.write(directory, network.config, network.variables, network.step, None)


def _write_safetensors(directory: Path, network: pretrained.Pretrained) -> None:
  from safetensors.numpy import save_file

  leaves = jax.tree_util.tree_leaves_with_path(network.variables)
  arrays = {'.'.join(key.key for key in path): np.asarray(leaf) for path, leaf in leaves}
  metadata = {'config': network.config.to_json_best_effort(), 'step': str(network.step)}
  save_file(arrays, directory / SAFETENSORS_FILE, metadata)


def _write_stablehlo(directory: Path, network: pretrained.Pretrained) -> None:
  inputs = inputs_of(network.config.model)
  axes = sorted({axis for given in inputs for axis in given.shape if isinstance(axis, str)})
  lengths = dict(zip(axes, jax_export.symbolic_shape(', '.join(axes)), strict=True))
  shapes = [[lengths[axis] if isinstance(axis, str) else axis for axis in given.shape] for given in inputs]
  examples = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
  exported = jax_export.export(jax.jit(network.__call__), platforms=PLATFORMS)(*examples)
  write_whole(directory / STABLEHLO_FILE, bytes(exported.serialize()))


def _write_onnx(directory: Path, network: pretrained.Pretrained) -> None:
  from lpips_jax.interop import onnx_files

  inputs = inputs_of(network.config.model)
  onnx_files.write(directory / 'model.onnx', network, {given.name: given.shape for given in inputs})


FORMATS = {
  'orbax': pretrained.save,
  'safetensors': _write_safetensors,
  'stablehlo': _write_stablehlo,
  'onnx': _write_onnx,
}


if __name__ == '__main__':
  define_flags()
  cli.run(main, 'checkpoint', 'destination', remote=('checkpoint', 'destination'))
