"""Makes checkpoints of released weights, which dubbing, evaluation and training then take like our own.

  python -m lpips_jax.interop.convert wav2lip_gan.pth runs/wav2lip
  python -m lpips_jax.interop.convert DIRECTORY runs/lpips

The file is recognised by what is in it: Wav2Lip's generators, its expert and its discriminator, SyncNet v2
(syncnet_v2.model), the Inception of pytorch-fid. A directory holds the two files of LPIPS: torchvision's VGG16 and
the linear weights of lpips, or lpips-j's; what is made of it goes into config.perceptual.source. Nothing of a file is
executed; TorchScript, which cannot be read otherwise, is loaded with --trust_torchscript alone.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from lpips_jax import models, perceptual, pretrained
from lpips_jax.core import cli, torch_files
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import whole_directory
from lpips_jax.interop import correspondence, safetensors_files
from lpips_jax.pretrained import model_card

WAV2LIP = (
  'Converted from a file with the tensors of Wav2Lip (Prajwal et al., arXiv 2008.10010), whose authors trained theirs '
  'on LRS2 and allow personal, research and non-commercial use alone. Who trained this one, on what, it does not say.'
)
SYNCNET = (
  'Converted from a file with the tensors of SyncNet v2 (Chung and Zisserman, "Out of time", ACCV 2016 Workshops). It '
  'measures; see the terms of the release that it is from.'
)
INCEPTION = (
  "Converted from a file with the tensors of FID's Inception (Szegedy et al., arXiv 1512.00567; TensorFlow's weights "
  'of 2015, Apache 2.0). It measures.'
)


class Kind(NamedTuple):
  """A released network.

  Attributes:
    title: what to call it.
    mark: a key that no other has.
    source_of: which of its tensors makes which of our variables.
    config: of the checkpoint.
    origin: where the weights are from, and on what terms, as far as their owners say.
    unused: how keys begin that are not needed.
  """

  title: str
  mark: str
  source_of: Callable[[correspondence.Path], correspondence.Source]
  config: dict[str, Any]
  origin: str
  unused: tuple[str, ...] = ()


def _model(name: str, image_size: int) -> dict[str, Any]:
  return {'name': name, 'image_size': image_size, 'dtype': 'float32'}


KINDS = (
  Kind(
    "Wav2Lip's generator",
    'face_decoder_blocks.0.0.conv_block.0.weight',
    correspondence.wav2lip,
    {
      'task': 'generator',
      'seed': 0,
      'model': _model('wav2lip', 96),
      'data': {'lead': 1.0, 'level': 'as_is'},  # as it was trained; Wav2Lip's own dubbing has no lead
      'perceptual': {'source': 'pretrained', 'width': 1.0, 'seed': 0},
    },
    WAV2LIP,
  ),
  Kind(
    "Wav2Lip's sync expert",
    'face_encoder.0.conv_block.0.weight',
    correspondence.sync_expert,
    {'task': 'sync_expert', 'model': _model('sync_expert', 96)},
    WAV2LIP,
  ),
  Kind(
    "Wav2Lip's discriminator",
    'binary_pred.0.weight',
    correspondence.discriminator,
    {'task': 'discriminator', 'model': _model('discriminator', 96)},
    WAV2LIP,
  ),
  Kind(
    'SyncNet v2',
    'netcnnlip.0.weight',
    correspondence.syncnet,
    {'task': 'syncnet', 'model': _model('syncnet', 224)},
    SYNCNET,
  ),
  Kind(
    'the Inception of FID',
    'Conv2d_1a_3x3.conv.weight',
    correspondence.inception,
    {'task': 'inception', 'model': _model('inception', 299)},
    INCEPTION,
    unused=('fc.',),
  ),
)


def define_flags() -> None:
  flags.DEFINE_string('source', None, 'A file of weights, or a directory with the two files of LPIPS.')
  flags.DEFINE_string('destination', None, 'The checkpoint directory to make.')
  flags.DEFINE_boolean('trust_torchscript', False, 'Loads TorchScript, which is a program: for files you trust.')


def main() -> None:
  cli.require_flags('source', 'destination')
  given = flags.FLAGS
  print(convert(Path(given.source), Path(given.destination), given.trust_torchscript))


def convert(source: Path, destination: Path, trust_torchscript: bool = False) -> str:
  """Converts a file, or LPIPS's two in a directory; returns what it was found to be.

  Raises:
    UserError: it is none of those known, damaged, or untrusted TorchScript; or the destination is there already.
    OSError: the destination cannot be written. In any case nothing is.
  """
  if destination.exists():  # told now, not after reading
    cli.fail(f'{destination} is there already: give another destination')
  if pretrained.is_exported(source):
    cli.fail(f'{source} cannot be converted: infer.py and evaluate.py take it as it is, with --trust_stablehlo')
  if (source / pretrained.CONFIG_FILE).is_file():
    cli.fail(f'{source} needs no conversion: every command takes it as it is')
  if source.is_dir():
    weights = perceptual.load_weights(str(source))
    with whole_directory(destination) as directory:
      perceptual.write_weights(directory, weights)
    return f'LPIPS: {destination}, for --config.perceptual.source'
  if source.suffix == '.safetensors':
    title, network = 'what was exported', safetensors_files.read(source)
    origin = 'Converted from safetensors that this project exported.'
  else:
    title, origin, network = _released(source, trust_torchscript)
  with whole_directory(destination) as directory:
    pretrained.save(directory, network)
    model_card.write(directory, network.config, network.variables, network.step, None, origin)
  return f'{title}, {sum(x.size for x in jax.tree.leaves(network.variables["params"])):,} parameters: {destination}'


def _released(source: Path, trust_torchscript: bool) -> tuple[str, str, pretrained.Pretrained]:
  state, step = torch_files.read_state(source, trust_torchscript)
  kind = recognise(state, source)
  try:
    variables = variables_of(kind, state)
  except UserError as error:
    cli.fail(f'{source} is not {kind.title} as released: {error}')
  config = ConfigDict(kind.config)
  return kind.title, kind.origin, pretrained.Pretrained(config, models.build(config.model), variables, step)


def recognise(state: Mapping[str, np.ndarray], source: Path) -> Kind:
  """Says whose weights these are; raises UserError if it cannot."""
  for kind in KINDS:
    if kind.mark in state:
      return kind
  if 'features.0.weight' in state or 'lin0.model.1.weight' in state:
    cli.fail(f'{source} is one of the two files of LPIPS: give the directory that holds both')
  known = ', '.join(kind.title for kind in KINDS)
  cli.fail(f'{source} has no network known here, but {next(iter(state))!r} and others; there are {known}')


def variables_of(kind: Kind, state: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Makes the module's variables; raises UserError, which names the keys that do not fit."""
  config = ConfigDict(kind.config).model
  shapes = jax.eval_shape(models.build(config).init, jax.random.key(0), *models.example_inputs(config))
  needed = {key: array for key, array in state.items() if not key.startswith(kind.unused)}
  return correspondence.converted(shapes, kind.source_of, needed)


if __name__ == '__main__':
  define_flags()
  cli.run(main, 'source', 'destination')
