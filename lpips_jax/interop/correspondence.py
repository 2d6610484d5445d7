"""Which tensor of a released file becomes which of our variables, for every network that can be converted.

Ours are kernels (h, w, in, out) for images in RGB; PyTorch's are (out, in, h, w), transposed ones (in, out, h, w), and
the released networks of Wav2Lip and SyncNet see BGR. The biases that Wav2Lip has before BatchNorm go into its means.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.models.sync_expert import SyncExpert
from lpips_jax.models.wav2lip import AUDIO_RESIDUALS

Path = tuple[str, ...]  # of a variable: collection, modules, name
NAMES = {'kernel': 'weight', 'bias': 'bias', 'scale': 'weight', 'mean': 'running_mean', 'var': 'running_var'}
LISTED = 12  # keys that a message names
FIVE_IMAGES = 15  # channels


class Source(NamedTuple):
  """What of a file a variable is made of.

  Attributes:
    keys: names of tensors there.
    ours: makes our variable of them.
  """

  keys: tuple[str, ...]
  ours: Callable[..., np.ndarray]


def converted(variables: Any, source_of: Callable[[Path], Source], state: Mapping[str, np.ndarray]) -> Any:
  """Fills a network's variables from a state dict.

  Args:
    variables: the shapes to fill, a nested dict.
    source_of: says which tensors a variable is made of.
    state: arrays by key.

  Returns:
    The same nested dict, of float32 arrays.

  Raises:
    UserError: keys are missing, too many, or of another shape; it names them.
  """
  leaves, structure = jax.tree_util.tree_flatten_with_path(variables)
  sources = [source_of(tuple(key.key for key in path)) for path, _ in leaves]
  keys = {key for source in sources for key in source.keys}
  missing, surplus = keys - state.keys(), state.keys() - keys
  arrays = [_made(source, state, leaf.shape) for source, (_, leaf) in zip(sources, leaves, strict=True)]
  refused = [source.keys for source, array in zip(sources, arrays, strict=True) if array is None]
  misshapen = {key for keys in refused if missing.isdisjoint(keys) for key in keys}
  problems = [('missing', sorted(missing)), ('surplus', sorted(surplus)), ('of another shape', sorted(misshapen))]
  if any(found for _, found in problems):
    raise UserError('; '.join(f'{what}: {_listed(found)}' for what, found in problems if found))
  return jax.tree_util.tree_unflatten(structure, [np.ascontiguousarray(array, np.float32) for array in arrays])


def wav2lip(path: Path) -> Source:
  """Wav2Lip's generator."""
  block = path[1]
  if block == 'audio_encoder':
    return _source(path, f'audio_encoder.{_SPEECH_OF_GENERATOR[path[2]]}')
  if re.fullmatch('face_decoder_blocks_[1-6]_0', block):
    return _source(path, _numbered(block), kernel=_transposed)
  if block == 'face_encoder_blocks_0_0':
    return _source(path, _numbered(block), kernel=lambda x: _rgb(_convolution(x), 2))
  if block == 'output_block_1':
    return _source(path, _numbered(block), kernel=lambda x: _rgb(_convolution(x), 3), bias=lambda x: _rgb(x, 0))
  return _source(path, _numbered(block))


def sync_expert(path: Path) -> Source:
  """Wav2Lip's SyncNet_color, which stacks five frames along the channels."""
  _, encoder, block, *_ = path
  place = (_SPEECH if encoder == 'audio_encoder' else _FACES)[block]
  kernel = (lambda x: _rgb(_convolution(x), 2)) if block == 'stem' else _convolution
  return _source(path, f'{encoder}.{place}', kernel=kernel)


def discriminator(path: Path) -> Source:
  """Wav2Lip's quality discriminator."""
  block = path[1]
  key = _numbered(block) if block == 'binary_pred_0' else f'{_numbered(block)}.conv_block.0'
  kernel = (lambda x: _rgb(_convolution(x), 2)) if block == 'face_encoder_blocks_0_0' else _convolution
  return _source(path, key, kernel=kernel)


def syncnet(path: Path) -> Source:
  """SyncNet v2, whose first convolution over space and time becomes one over five frames stacked along the channels."""
  _, side, layer, _ = path
  part, place = layer.split('_')
  kernel = _convolution
  if part == 'fc':
    kernel = np.transpose
  elif side == 'lip':
    kernel = _over_time
  return _source(path, f'net{part}{side}.{place}', kernel=kernel)


def inception(path: Path) -> Source:
  """The Inception of FID, named as torchvision names it."""
  return _source(path, '.'.join(path[1:-1]))


def _source(
  path: Path,
  key: str,
  kernel: Callable[[np.ndarray], np.ndarray] | None = None,
  bias: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Source:
  """The tensor of a variable of a block; Wav2Lip's blocks have a convolution and a BatchNorm in them."""
  parts = {'conv': '.conv_block.0', 'norm': '.conv_block.1'} if key.partition('.')[0] in _BLOCKS else {}
  change = {'kernel': kernel or _convolution, 'bias': bias}.get(path[-1]) or np.asarray
  name = f'{key}{parts.get(path[-2], "")}.{NAMES[path[-1]]}'
  if parts and path[-1] == 'mean':
    return Source((name, f'{key}{parts["conv"]}.bias'), _mean_without_bias)
  return Source((name,), change)


def _places(residuals: Sequence[int], *before: str) -> dict[str, int]:
  """Where each of an encoder's blocks stands in a list of all."""
  names = list(before)
  for level, count in enumerate(residuals):
    names += [f'down_{level}', *(f'residual_{level}_{i}' for i in range(count))]
  return {name: place for place, name in enumerate([*names, 'collapse', 'head'])}


_BLOCKS = 'audio_encoder', 'face_encoder', 'face_encoder_blocks', 'face_decoder_blocks', 'output_block'
_SPEECH_OF_GENERATOR = _places(AUDIO_RESIDUALS)
_SPEECH = _places(SyncExpert.audio_residuals)
_FACES = _places(SyncExpert.face_residuals, 'stem')


def _numbered(block: str) -> str:
  return re.sub(r'_(?=\d)', '.', block)


def _convolution(x: np.ndarray) -> np.ndarray:
  """(out, in, h, w) -> (h, w, in, out)."""
  return x.transpose(2, 3, 1, 0)


def _transposed(x: np.ndarray) -> np.ndarray:
  """(in, out, h, w) -> (h, w, in, out), turned by 180 degrees, as `layers.transposed.TransposedConv` has it."""
  return x[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)


def _over_time(x: np.ndarray) -> np.ndarray:
  """(out, in, t, h, w) -> (h, w, t x in, out), of five images in RGB for BGR."""
  x = x.transpose(3, 4, 2, 1, 0)
  x = x.reshape(*x.shape[:2], -1, x.shape[-1])
  return _rgb(x, 2) if x.shape[2] == FIVE_IMAGES else x


def _rgb(x: np.ndarray, axis: int) -> np.ndarray:
  """Turns the order of colours round along an axis that holds them, of one image after the other."""
  order = np.arange(x.shape[axis]).reshape(-1, 3)[:, ::-1].reshape(-1)
  return np.take(x, order, axis)


def _mean_without_bias(mean: np.ndarray, bias: np.ndarray) -> np.ndarray:
  """The mean of what a convolution returns without its bias."""
  return mean - bias.reshape(mean.shape)


def _made(source: Source, state: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray | None:
  """Our variable; None if tensors are missing or of another shape."""
  try:
    array = source.ours(*(state[key] for key in source.keys))
  except (KeyError, ValueError, IndexError):
    return None
  return array if array.shape == shape else None


def _listed(keys: list[str]) -> str:
  rest = f' and {len(keys) - LISTED} more' if len(keys) > LISTED else ''
  return ', '.join(keys[:LISTED]) + rest
