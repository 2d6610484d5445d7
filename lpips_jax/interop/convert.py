"""Converts released weights to checkpoint directories, which dubbing, evaluation and training use like our own.

  python -m lpips_jax.interop.convert wav2lip_gan.pth runs/wav2lip
  python -m lpips_jax.interop.convert DIRECTORY runs/lpips

The file is recognised by its tensors: Wav2Lip's generators, its expert and its discriminator, SyncNet v2
(syncnet_v2.model), the Inception of pytorch-fid, and AV-HuBERT, base and large, pre-trained or fine-tuned, MuAViC's
among them. A directory must hold the two files of LPIPS, torchvision's VGG16
and the linear weights of lpips, or those of lpips-j; the result is for config.perceptual.source. Nothing in a file is
executed, except that TorchScript, which cannot be read otherwise, is loaded with --trust_torchscript. Both may be URLs,
gs://… or s3://….
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
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import PathLike, shown, whole_directory
from lpips_jax.interop import av_hubert, correspondence, safetensors_files
from lpips_jax.pretrained import model_card
from lpips_jax.storage.staging import staged
from lpips_jax.storage.transfer import local_output_directory

WAV2LIP = (
  'Converted from a file with the tensors of Wav2Lip (Prajwal et al., arXiv 2008.10010), whose authors trained theirs '
  'on LRS2 and allow personal, research and non-commercial use only. The file does not say who trained it, or on what.'
)
SYNCNET = (
  'Converted from a file with the tensors of SyncNet v2 (Chung and Zisserman, "Out of time", ACCV 2016 Workshops). It '
  'is a metric; see the terms of the release it comes from.'
)
INCEPTION = (
  "Converted from a file with the tensors of FID's Inception (Szegedy et al., arXiv 1512.00567; TensorFlow's weights "
  'of 2015, Apache 2.0). It is a metric.'
)
AV_HUBERT = (
  'Converted from a file with the tensors of AV-HuBERT (Shi et al., arXiv 2201.02184), or of MuAViC (Anwar et al., '
  "arXiv 2303.00628), which has the same network. AV-HuBERT's authors trained theirs on LRS3 and VoxCeleb2; it comes "
  "under Meta's own research licence: non-commercial use only, no sublicences. MuAViC's is under CC BY-NC 4.0. The "
  'file does not say who trained it, or on what.'
)
WAV2LIP_TERMS = 'Weights of Wav2Lip are for personal, research and non-commercial use only, as their authors say.'
MAX_KEY = 80  # characters of a tensor's name that a message shows
AV_HUBERT_TERMS = 'Weights of AV-HuBERT and MuAViC are for non-commercial use only, as their licences say.'


def _no_sizes(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
  return {}


class ReleasedNetwork(NamedTuple):
  """A network whose released weights can be converted.

  Attributes:
    title: its name in messages.
    marker_key: a key of its state dict that no other network has.
    source_of: maps the path of one of our variables to the tensors it is converted from.
    config: the config of the checkpoint.
    origin: where the weights come from and on what terms, as far as their owners say; for the model card.
    terms: those that bind them, and whatever they teach; '' where this project knows of none.
    unused: prefixes of keys that are not needed.
    prefix: what keys begin with where the network is part of a larger one.
    sizes: the fields of the model that the tensors tell.
  """

  title: str
  marker_key: str
  source_of: Callable[[correspondence.Path], correspondence.Source]
  config: dict[str, Any]
  origin: str
  terms: str = ''
  unused: tuple[str, ...] = ()
  prefix: str = ''
  sizes: Callable[[Mapping[str, np.ndarray]], dict[str, Any]] = _no_sizes


def _model(name: str, image_size: int) -> dict[str, Any]:
  return {'name': name, 'image_size': image_size, 'dtype': 'float32'}


RELEASED_NETWORKS = (
  ReleasedNetwork(
    "Wav2Lip's generator",
    'face_decoder_blocks.0.0.conv_block.0.weight',
    correspondence.wav2lip,
    {
      'task': 'generator',
      'seed': 0,
      'model': _model('wav2lip', 96),
      'data': {'lead': 1.0, 'level': 'as_is'},  # as in its training; Wav2Lip's own dubbing has no lead
      'perceptual': {'source': 'pretrained', 'width': 1.0, 'seed': 0},
    },
    WAV2LIP,
    WAV2LIP_TERMS,
  ),
  ReleasedNetwork(
    "Wav2Lip's sync expert",
    'face_encoder.0.conv_block.0.weight',
    correspondence.sync_expert,
    {'task': 'sync_expert', 'model': _model('sync_expert', 96)},
    WAV2LIP,
    WAV2LIP_TERMS,
  ),
  ReleasedNetwork(
    "Wav2Lip's discriminator",
    'binary_pred.0.weight',
    correspondence.discriminator,
    {'task': 'discriminator', 'model': _model('discriminator', 96)},
    WAV2LIP,
    WAV2LIP_TERMS,
  ),
  ReleasedNetwork(
    'SyncNet v2',
    'netcnnlip.0.weight',
    correspondence.syncnet,
    {'task': 'syncnet', 'model': _model('syncnet', 224)},
    SYNCNET,
  ),
  ReleasedNetwork(
    'the Inception of FID',
    'Conv2d_1a_3x3.conv.weight',
    correspondence.inception,
    {'task': 'inception', 'model': _model('inception', 299)},
    INCEPTION,
    unused=('fc.',),
  ),
  ReleasedNetwork(
    'AV-HuBERT',
    av_hubert.MARKER_KEY,
    av_hubert.source_of,
    {'task': 'av_expert', 'model': _model('av_hubert', 96)},
    AV_HUBERT,
    AV_HUBERT_TERMS,
    av_hubert.UNUSED,
    av_hubert.PREFIX,
    av_hubert.sizes,
  ),
)


def define_flags() -> None:
  flags.DEFINE_string('source', None, 'A file of weights, or a directory with the two files of LPIPS.')
  flags.DEFINE_string('destination', None, 'The checkpoint directory to create.')
  flags.DEFINE_boolean('trust_torchscript', False, 'Loads TorchScript, which is a program: only for files you trust.')


def main() -> None:
  cli.require_flags('source', 'destination')
  given = flags.FLAGS
  print(shown(convert(given.source, given.destination, given.trust_torchscript)))


def convert(source: PathLike, destination: PathLike, trust_torchscript: bool = False) -> str:
  """Converts a file of weights, or the two files of LPIPS in a directory, to a checkpoint directory.

  Args:
    source: a file of PyTorch or safetensors, or a directory; or its URL.
    destination: the directory to create, complete or not at all; or its URL.
    trust_torchscript: whether TorchScript, which is a program, may be loaded.

  Returns:
    A line that says which network it was.

  Raises:
    UserError: the network is not known here, the file is damaged or untrusted TorchScript, or the destination exists.
    OSError: the destination cannot be written.
  """
  with local_output_directory(destination) as made:
    return _convert(staged(source), made, trust_torchscript)


def _convert(source: Path, destination: Path, trust_torchscript: bool) -> str:
  if destination.exists():  # checked before reading, which takes longer
    raise UserError(f'{destination} is there already: give another destination')
  if pretrained.is_exported(source):
    raise UserError(
      f'{source} cannot be converted: infer.py and evaluate.py take it as it is, with trust_stablehlo=True',
      'trust_stablehlo',
    )
  if (source / pretrained.CONFIG_FILE).is_file():
    raise UserError(f'{source} needs no conversion: every command takes it as it is')
  if source.is_dir():
    weights = perceptual.load_weights(str(source))
    with whole_directory(destination) as directory:
      perceptual.write_weights(directory, weights)
    return f'LPIPS: {destination}, for config.perceptual.source'
  if source.suffix == '.safetensors':
    title, network = 'an exported network', safetensors_files.read(source)
    origin = 'Converted from safetensors that this project exported.'
  else:
    title, origin, network = _convert_released(source, trust_torchscript)
  with whole_directory(destination) as directory:
    pretrained.save(directory, network)
    model_card.write(directory, network.config, network.variables, network.step, None, origin)
  return f'{title}, {sum(x.size for x in jax.tree.leaves(network.variables["params"])):,} parameters: {destination}'


def _convert_released(source: Path, trust_torchscript: bool) -> tuple[str, str, pretrained.Pretrained]:
  state, step = torch_files.read_state(source, trust_torchscript)
  released = recognise(state, source)
  state = {key.removeprefix(released.prefix): array for key, array in state.items()}
  try:
    config = config_of(released, state)
    variables = variables_of(released, config, state)
  except UserError as error:
    raise UserError(f'{source} is not {released.title} as released: {error}') from error
  return released.title, released.origin, pretrained.Pretrained(config, models.build(config.model), variables, step)


def recognise(state: Mapping[str, np.ndarray], source: Path) -> ReleasedNetwork:
  """Returns the network that a state dict belongs to; raises UserError, which names the source, if none is known."""
  for released in RELEASED_NETWORKS:
    if released.marker_key in state or released.prefix + released.marker_key in state:
      return released
  if 'features.0.weight' in state or 'lin0.model.1.weight' in state:
    raise UserError(f'{source} is one of the two files of LPIPS: give the directory that holds both')
  known = ', '.join(released.title for released in RELEASED_NETWORKS)
  raise UserError(
    f'{source} has no network known here, but {next(iter(state))[:MAX_KEY]!r} and others; known are {known}'
  )


def config_of(released: ReleasedNetwork, state: Mapping[str, np.ndarray]) -> ConfigDict:
  """Returns the config of a released network in a size that a state dict tells; raises UserError if it tells none."""
  config = ConfigDict(released.config | ({'terms': released.terms} if released.terms else {}))
  try:
    config.model.update(released.sizes(state))
  except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
    raise UserError(f'its tensors do not tell its size ({first_line(error)})') from error
  return config


def variables_of(released: ReleasedNetwork, config: ConfigDict, state: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Returns our module's variables, converted from a state dict; raises UserError, which names keys that do not fit."""
  inputs = models.example_inputs(config.model)
  shapes = jax.eval_shape(models.build(config.model).init, jax.random.key(0), *inputs)
  needed = {key: array for key, array in state.items() if not key.startswith(released.unused)}
  return correspondence.converted(shapes, released.source_of, needed)


if __name__ == '__main__':
  define_flags()
  cli.run(main, 'source', 'destination', remote=('source', 'destination'))
