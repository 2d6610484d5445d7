"""Where the weights of LPIPS come from: lpips-j's files, PyTorch's files, or a random draw that says what it is."""

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import logging

from lpips_jax.core import torch_files
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import expanded
from lpips_jax.perceptual.distance import Weights
from lpips_jax.perceptual.vgg import BLOCKS, FEATURES, layer_shapes

# lpips-j's files: kernels are stored as (h, w, in, out), linear weights as (1, 1, c, 1).
HUB_REPOSITORY = 'pcuenq/lpips-jax'
HUB_FILES = ('vgg16_weights.h5', 'lpips_lin.h5')
HUB_REVISIONS = {HUB_FILES[0]: '1a6ac7498dac36b0f588fe33cd1c5a4ba55d5d4f'}  # whose content does not change any more
# torchvision's VGG16, and the linear weights of lpips 0.1.
TORCH_FILES = ('vgg16-397923af.pth', 'vgg.pth')
SHA256 = {
  TORCH_FILES[0]: '397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0',
  TORCH_FILES[1]: 'a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868',
}
# Of the linear weights themselves, float32 in the order of `FEATURES`, whatever file they are in.
LINEAR_SHA256 = '9153a2043dccf3b525d4f13db916e93ef040548ea923b6f2100de5ebac141a78'
PRETRAINED, RANDOM = KINDS = 'pretrained', 'random'  # sources that name no files
DEFAULT_DIRECTORY = Path('~/.cache/lpips_jax')
HUB_TIMEOUT = 5  # seconds for the hub to answer at all
# Weights of the five terms on random features, chosen so that each gives about 0.15 for two unrelated photographs at
# 64 pixels, and all of them about 0.8, as LPIPS does. Features grow alike with depth: without this the first rule.
RANDOM_LINEAR = (0.15, 0.3, 0.5, 0.75, 1.5)


def load_weights(source: str = PRETRAINED, *, width: float = 1, seed: int = 0) -> Weights:
  """Returns the weights that `lpips` takes.

  Args:
    source: 'pretrained': the files in ~/.cache/lpips_jax if there are any, else lpips-j's from the cache of the
      Hugging Face hub, downloaded on first use. A directory: the files there, `vgg16_weights.h5` and `lpips_lin.h5`,
      or `vgg16-397923af.pth` and `vgg.pth` (which need PyTorch). 'random': `random_weights`, which is not LPIPS.
    width: for random weights, the width of VGG16.
    seed: for random weights.

  Raises:
    UserError: the files are not there, are damaged, are not those that were released, as far as their digests are
      known, or have changed since they were first used.
  """
  if source == RANDOM:
    logging.warning('perceptual loss: VGG16 of width %g with random weights; its distance is not LPIPS', width)
    return random_weights(seed, width)
  if source != PRETRAINED:
    return _read_directory(expanded(source))
  directory = _default_directory()
  return _read_directory(directory) if _pair_in(directory) else _read_h5(*map(_from_hub, HUB_FILES))


def write_weights(directory: Path, weights: Weights) -> None:
  """Writes full-size weights into a directory, as lpips-j's two files, which `load_weights` reads."""
  import h5py

  with h5py.File(directory / HUB_FILES[0], 'w') as file:
    for name, layer in weights['vgg'].items():
      file[f'{name}/weight'], file[f'{name}/bias'] = layer['kernel'], layer['bias']
  with h5py.File(directory / HUB_FILES[1], 'w') as file:
    for i, name in enumerate(FEATURES):
      file[f'lin{i}'] = weights['linear'][name].reshape(1, 1, -1, 1)


def random_weights(seed: int, width: float = 1) -> Weights:
  """Returns a VGG16 with random kernels (He et al., arXiv 1502.01852), and fixed, non-negative linear weights.

  Args:
    seed: the same seed and width give the same weights.
    width: multiplies the numbers of channels; an eighth to a quarter suits a CPU.
  """
  generator = np.random.default_rng(seed)
  vgg = {}
  for name, shape in layer_shapes(width).items():
    kernel = generator.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[:3])))
    vgg[name] = {'kernel': kernel, 'bias': np.zeros(shape[-1], np.float32)}
  channels = _feature_channels(width)
  linear = {name: np.full(channels[name], RANDOM_LINEAR[i], np.float32) for i, name in enumerate(FEATURES)}
  return {'vgg': vgg, 'linear': linear}


def _read_directory(directory: Path) -> Weights:
  pair = _pair_in(directory)
  if pair is None:
    raise UserError(f'no LPIPS weights in {directory}: put {_wanted_files()} there')
  read = _read_h5 if pair == HUB_FILES else _read_torch
  return read(*(directory / name for name in pair))


def _pair_in(directory: Path) -> tuple[str, str] | None:
  pairs = (HUB_FILES, TORCH_FILES)
  return next((pair for pair in pairs if all((directory / name).is_file() for name in pair)), None)


def _wanted_files() -> str:
  return f'{" and ".join(HUB_FILES)} (of huggingface.co/{HUB_REPOSITORY}), or {" and ".join(TORCH_FILES)},'


def _from_hub(name: str) -> Path:
  """The file from the hub's cache, else from the hub."""
  import huggingface_hub

  wanted = {'repo_id': HUB_REPOSITORY, 'filename': name, 'revision': HUB_REVISIONS.get(name)}
  try:
    return Path(huggingface_hub.hf_hub_download(**wanted, local_files_only=True))
  except (OSError, ValueError):
    logging.info('downloading %s from huggingface.co/%s', name, HUB_REPOSITORY)
  try:
    _require_answer(huggingface_hub.constants.ENDPOINT)
    return Path(huggingface_hub.hf_hub_download(**wanted, etag_timeout=HUB_TIMEOUT))
  except Exception as error:  # the hub's client raises its own, its transport's and the system's errors
    raise UserError(
      f'no LPIPS weights on this machine, and they could not be downloaded ({type(error).__name__}): '
      f'put {_wanted_files()} into {_default_directory()}'
    ) from error


def _default_directory() -> Path:
  return Path(os.path.expanduser(DEFAULT_DIRECTORY))  # which leaves it as it is where a user has no home


def _require_answer(address: str) -> None:
  """One short attempt: the hub's client would retry for half a minute on a machine without a network."""
  try:
    urllib.request.urlopen(urllib.request.Request(address, method='HEAD'), timeout=HUB_TIMEOUT).close()
  except urllib.error.HTTPError as error:  # any answer will do
    error.close()


def _read_h5(vgg_file: Path, linear_file: Path) -> Weights:
  """Reads lpips-j's pair: groups conv1_1 .. conv5_3 with `weight` and `bias`, and datasets lin0 .. lin4."""
  import h5py

  def vgg(path: Path) -> dict:
    with h5py.File(path) as file:
      return {n: {'kernel': file[n]['weight'][()], 'bias': file[n]['bias'][()]} for n in layer_shapes()}

  def linear(path: Path) -> dict:
    with h5py.File(path) as file:
      return {name: file[f'lin{i}'][()].reshape(-1) for i, name in enumerate(FEATURES)}

  return _checked({'vgg': _read(vgg_file, vgg), 'linear': _read(linear_file, linear)}, vgg_file.parent)


def _read_torch(vgg_file: Path, linear_file: Path) -> Weights:
  """Reads torchvision's state dict (features.<index>.weight as (out, in, h, w)) and lpips' (lin<i>.model.1.weight)."""

  def vgg(path: Path) -> dict:
    state, _ = torch_files.read_state(path)
    names = zip(layer_shapes(), _torch_indices(), strict=True)
    return {
      name: {
        'kernel': state[f'features.{index}.weight'].transpose(2, 3, 1, 0),
        'bias': state[f'features.{index}.bias'],
      }
      for name, index in names
    }

  def linear(path: Path) -> dict:
    state, _ = torch_files.read_state(path)
    return {name: state[f'lin{i}.model.1.weight'].reshape(-1) for i, name in enumerate(FEATURES)}

  return _checked({'vgg': _read(vgg_file, vgg), 'linear': _read(linear_file, linear)}, vgg_file.parent)


def _torch_indices() -> list[int]:
  """Where torchvision's `features` has its convolutions: each is followed by a ReLU, each block by a pooling."""
  indices, index = [], 0
  for widths in BLOCKS:
    indices += [index + 2 * layer for layer in range(len(widths))]
    index += 2 * len(widths) + 1
  return indices


def _read(path: Path, reader: Callable[[Path], dict]) -> dict:
  """Reads a file whose checksum holds; whatever a damaged file makes its library raise becomes a UserError."""
  _check_digest(path)
  try:
    return reader(path)
  except UserError:
    raise
  except Exception as error:
    raise UserError(f'{path} is no weight file of LPIPS, or damaged: delete it and get it again') from error


def _check_digest(path: Path) -> None:
  """Compares a file with its known SHA-256, else with the digest in its name, else with that of its first use.

  The hub's cache names a large file by its SHA-256, and a small one by Git's SHA-1.
  """
  with open(path, 'rb') as file:
    digest = hashlib.file_digest(file, 'sha256').hexdigest()
  named = re.fullmatch(r'[0-9a-f]{40}|[0-9a-f]{64}', path.resolve().name)
  record = path.with_name(f'{path.name}.sha256')
  if known := SHA256.get(path.name) or (named and named[0]):
    if known not in (digest, _git_digest(path)):
      raise UserError(f'{path} is damaged, or another file: its digest is not {known[:8]}…; delete it and get it again')
  elif record.is_file():
    if record.read_text().split()[:1] != [digest]:
      raise UserError(f'{path} has changed since its first use; if you replaced it, delete {record}')
  elif os.access(path.parent, os.W_OK):
    partial = record.with_name(f'{record.name}.{os.getpid()}.part')
    partial.write_text(f'{digest}  {path.name}\n')
    os.replace(partial, record)


def _git_digest(path: Path) -> str:
  content = path.read_bytes()
  return hashlib.sha1(b'blob %d\0' % len(content) + content, usedforsecurity=False).hexdigest()


def _linear_digest(linear: dict[str, np.ndarray]) -> str:
  return hashlib.sha256(b''.join(np.asarray(linear[name], '<f4').tobytes() for name in FEATURES)).hexdigest()


def _checked(weights: Weights, directory: Path) -> Weights:
  """Returns the weights in float32 if they have VGG16's shapes, are finite, and the linear ones non-negative."""
  problems = []
  for name, shape in layer_shapes().items():
    layer = weights['vgg'][name]
    for part, expected in (('kernel', shape), ('bias', shape[-1:])):
      layer[part] = np.ascontiguousarray(layer[part], np.float32)
      if layer[part].shape != expected:
        problems.append(f'{name} {part} has shape {layer[part].shape} instead of {expected}')
      elif not np.isfinite(layer[part]).all():
        problems.append(f'{name} {part} is not finite')
  for name, channels in _feature_channels().items():
    linear = weights['linear'][name] = np.asarray(weights['linear'][name], np.float32)
    if linear.shape != (channels,) or not np.isfinite(linear).all() or (linear < 0).any():
      problems.append(f'the linear weights of {name} are not {channels} non-negative numbers')
  if not problems and _linear_digest(weights['linear']) != LINEAR_SHA256:
    problems.append('the linear weights are not those of lpips 0.1')
  if problems:
    raise UserError(f'the files in {directory} are not those of LPIPS-VGG: {problems[0]}; put {_wanted_files()} there')
  return weights


def _feature_channels(width: float = 1) -> dict[str, int]:
  """Channels of each compared map: relu1_2 is what conv1_2 makes."""
  shapes = layer_shapes(width)
  return {name: shapes[name.replace('relu', 'conv')][-1] for name in FEATURES}
