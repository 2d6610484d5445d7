"""The correspondence of released tensors to our variables, for every network that can be converted.

Our kernels are (h, w, in, out) and expect RGB. PyTorch's are (out, in, h, w), or (in, out, h, w) when transposed, and
the released networks of Wav2Lip and SyncNet expect BGR. The biases that Wav2Lip has before BatchNorm are subtracted
from BatchNorm's means.
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
Change = Callable[[np.ndarray], np.ndarray]  # of a tensor's layout
TENSOR_NAMES = {'kernel': 'weight', 'bias': 'bias', 'scale': 'weight', 'mean': 'running_mean', 'var': 'running_var'}
MAX_LISTED_KEYS = 12  # that a message names
FIVE_IMAGES_CHANNELS = 15


class Source(NamedTuple):
  """The tensors of a file that a variable is converted from.

  Attributes:
    keys: the keys of the tensors.
    convert: maps the tensors to our variable.
  """

  keys: tuple[str, ...]
  convert: Callable[..., np.ndarray]


def converted(variables: Any, source_of: Callable[[Path], Source], state: Mapping[str, np.ndarray]) -> Any:
  """Converts a state dict to a network's variables.

  Args:
    variables: the shapes of the variables, a nested dict.
    source_of: maps the path of a variable to the tensors that it is converted from.
    state: arrays by key.

  Returns:
    A nested dict like `variables`, of float32 arrays.

  Raises:
    UserError: keys are missing or surplus, or tensors have another shape; the message names the keys.
  """
  leaves, structure = jax.tree_util.tree_flatten_with_path(variables)
  sources = [source_of(tuple(key.key for key in path)) for path, _ in leaves]
  keys = {key for source in sources for key in source.keys}
  missing, surplus = keys - state.keys(), state.keys() - keys
  arrays = [_converted_or_none(source, state, leaf.shape) for source, (_, leaf) in zip(sources, leaves, strict=True)]
  failed = [source.keys for source, array in zip(sources, arrays, strict=True) if array is None]
  misshapen = {key for keys in failed if missing.isdisjoint(keys) for key in keys}
  problems = [('missing', sorted(missing)), ('surplus', sorted(surplus)), ('of another shape', sorted(misshapen))]
  if any(found for _, found in problems):
    raise UserError('; '.join(f'{what}: {_listed(found)}' for what, found in problems if found))
  return jax.tree_util.tree_unflatten(structure, [np.ascontiguousarray(array, np.float32) for array in arrays])


def wav2lip(path: Path) -> Source:
  """Returns the source of a variable of Wav2Lip's generator."""
  block = path[1]
  if block == 'audio_encoder':
    return _source(path, f'audio_encoder.{_GENERATOR_AUDIO_PLACES[path[2]]}')
  if re.fullmatch('face_decoder_blocks_[1-6]_0', block):
    return _source(path, _numbered(block), kernel=_transposed)
  if block == 'face_encoder_blocks_0_0':
    return _source(path, _numbered(block), kernel=lambda x: _rgb(convolution(x), 2))
  if block == 'output_block_1':
    return _source(path, _numbered(block), kernel=lambda x: _rgb(convolution(x), 3), bias=lambda x: _rgb(x, 0))
  return _source(path, _numbered(block))


def sync_expert(path: Path) -> Source:
  """Returns the source of a variable of Wav2Lip's SyncNet_color, which stacks five frames along the channels."""
  _, encoder, block, *_ = path
  place = (_EXPERT_AUDIO_PLACES if encoder == 'audio_encoder' else _EXPERT_FACE_PLACES)[block]
  kernel = (lambda x: _rgb(convolution(x), 2)) if block == 'stem' else convolution
  return _source(path, f'{encoder}.{place}', kernel=kernel)


def discriminator(path: Path) -> Source:
  """Returns the source of a variable of Wav2Lip's quality discriminator."""
  block = path[1]
  key = _numbered(block) if block == 'binary_pred_0' else f'{_numbered(block)}.conv_block.0'
  kernel = (lambda x: _rgb(convolution(x), 2)) if block == 'face_encoder_blocks_0_0' else convolution
  return _source(path, key, kernel=kernel)


def syncnet(path: Path) -> Source:
  """Returns the source of a variable of SyncNet v2.

  Its first convolution over space and time becomes one over five frames that are stacked along the channels.
  """
  _, side, layer, _ = path
  part, place = layer.split('_')
  kernel: Change = convolution
  if part == 'fc':
    kernel = np.transpose
  elif side == 'lip':
    kernel = _over_time
  return _source(path, f'net{part}{side}.{place}', kernel=kernel)


def inception(path: Path) -> Source:
  """Returns the source of a variable of FID's Inception, named as in torchvision."""
  return _source(path, '.'.join(path[1:-1]))


def _source(
  path: Path,
  key: str,
  kernel: Change | None = None,
  bias: Change | None = None,
) -> Source:
  """Returns the source of a variable of a block; Wav2Lip's blocks contain a convolution and a BatchNorm.

  Args:
    path: of the variable.
    key: of the block, or of the layer where blocks have no parts.
    kernel: converts the kernel; `convolution` if None.
    bias: converts the bias; unchanged if None.
  """
  parts = {'conv': '.conv_block.0', 'norm': '.conv_block.1'} if key.partition('.')[0] in _BLOCKS else {}
  change = {'kernel': kernel or convolution, 'bias': bias}.get(path[-1]) or np.asarray
  name = f'{key}{parts.get(path[-2], "")}.{TENSOR_NAMES[path[-1]]}'
  if parts and path[-1] == 'mean':
    return Source((name, f'{key}{parts["conv"]}.bias'), _mean_without_bias)
  return Source((name,), change)


def _places(residuals: Sequence[int], *first: str) -> dict[str, int]:
  """Returns the index of each of an encoder's blocks in PyTorch's sequence of them.

  Args:
    residuals: the number of residual blocks in each level.
    *first: the blocks before the levels.
  """
  names = list(first)
  for level, count in enumerate(residuals):
    names += [f'down_{level}', *(f'residual_{level}_{i}' for i in range(count))]
  return {name: place for place, name in enumerate([*names, 'collapse', 'head'])}


_BLOCKS = 'audio_encoder', 'face_encoder', 'face_encoder_blocks', 'face_decoder_blocks', 'output_block'
_GENERATOR_AUDIO_PLACES = _places(AUDIO_RESIDUALS)
_EXPERT_AUDIO_PLACES = _places(SyncExpert.audio_residuals)
_EXPERT_FACE_PLACES = _places(SyncExpert.face_residuals, 'stem')


def _numbered(block: str) -> str:
  return re.sub(r'_(?=\d)', '.', block)


def convolution(x: np.ndarray) -> np.ndarray:
  """(out, in, h, w) -> (h, w, in, out)."""
  return x.transpose(2, 3, 1, 0)


def _transposed(x: np.ndarray) -> np.ndarray:
  """(in, out, h, w) -> (h, w, in, out), rotated by 180 degrees as for `layers.transposed.TransposedConv`."""
  return x[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)


def _over_time(x: np.ndarray) -> np.ndarray:
  """(out, in, t, h, w) -> (h, w, t x in, out); kernels over five images change from BGR to RGB."""
  x = x.transpose(3, 4, 2, 1, 0)
  x = x.reshape(*x.shape[:2], -1, x.shape[-1])
  return _rgb(x, 2) if x.shape[2] == FIVE_IMAGES_CHANNELS else x


def _rgb(x: np.ndarray, axis: int) -> np.ndarray:
  """Reverses the order of the colours along an axis that holds the channels of one or more images in turn."""
  order = np.arange(x.shape[axis]).reshape(-1, 3)[:, ::-1].reshape(-1)
  return np.take(x, order, axis)


def _mean_without_bias(mean: np.ndarray, bias: np.ndarray) -> np.ndarray:
  """Returns the mean of a convolution's output without its bias."""
  return mean - bias.reshape(mean.shape)


def _converted_or_none(source: Source, state: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray | None:
  """Returns our variable; None if tensors are missing or have another shape."""
  try:
    array = source.convert(*(state[key] for key in source.keys))
  except (KeyError, ValueError, IndexError):
    return None
  return array if array.shape == shape else None


def _listed(keys: list[str]) -> str:
  rest = f' and {len(keys) - MAX_LISTED_KEYS} more' if len(keys) > MAX_LISTED_KEYS else ''
  return ', '.join(keys[:MAX_LISTED_KEYS]) + rest
