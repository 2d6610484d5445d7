"""Weights of LPIPS: from lpips-j, from PyTorch's files, or drawn at random, with a warning."""

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from absl import logging

from lpips_jax.core import torch_files
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import whole_file
from lpips_jax.perceptual.distance import Weights
from lpips_jax.perceptual.vgg import BLOCKS, FEATURES, layer_shapes
from lpips_jax.storage.staging import staged

# The files that lpips-j downloads: kernels are stored as (h, w, in, out), linear weights as (1, 1, c, 1).
HUB_REPOSITORY = 'pcuenq/lpips-jax'
HUB_FILES = ('vgg16_weights.h5', 'lpips_lin.h5')
HUB_REVISIONS = {HUB_FILES[0]: '1a6ac7498dac36b0f588fe33cd1c5a4ba55d5d4f'}  # a commit, whose content cannot change
# torchvision's VGG16, and the linear weights of lpips 0.1.
TORCH_FILES = ('vgg16-397923af.pth', 'vgg.pth')
SHA256 = {
  TORCH_FILES[0]: '397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0',
  TORCH_FILES[1]: 'a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868',
}
# SHA-256 of the linear weights themselves, float32 in the order of `FEATURES`, whatever file they are in.
LINEAR_SHA256 = '9153a2043dccf3b525d4f13db916e93ef040548ea923b6f2100de5ebac141a78'
PRETRAINED, RANDOM = NAMED_SOURCES = 'pretrained', 'random'  # sources that are no directories
DEFAULT_DIRECTORY = Path('~/.cache/lpips_jax')
HUB_TIMEOUT = 5  # seconds for the hub to answer at all
# Weights of the five terms on random features, chosen so that each gives about 0.15 for two unrelated photographs at
# 64 pixels, and all of them about 0.8, as LPIPS does. Random features become more alike with depth: with equal weights
# the first terms would dominate.
RANDOM_LINEAR = (0.15, 0.3, 0.5, 0.75, 1.5)


def load_weights(source: str = PRETRAINED, *, width: float = 1, seed: int = 0) -> Weights:
  """Returns the weights that `lpips` takes.

  Args:
    source: 'pretrained': the files in ~/.cache/lpips_jax if there are any, else lpips-j's weights, from the cache of
      the Hugging Face hub, downloaded on first use. A directory or its URL in a bucket: the files there,
      `vgg16_weights.h5` and `lpips_lin.h5`, or `vgg16-397923af.pth` and `vgg.pth` (which need PyTorch). 'random':
      `random_weights`, which is not LPIPS.
    width: for random weights, the width of VGG16.
    seed: for random weights.

  Raises:
    UserError: the files are missing or damaged, are not those that were released, as far as their digests are known,
      or have changed since they were first used.
  """
  if source == RANDOM:
    logging.warning('perceptual loss: VGG16 of width %g with random weights; its distance is not LPIPS', width)
    return random_weights(seed, width)
  if source != PRETRAINED:
    return _read_directory(staged(source, lambda names: names & {*HUB_FILES, *TORCH_FILES}))
  directory = _default_directory()
  return _read_directory(directory) if _pair_in(directory) else _from_lpips_j()


def write_weights(directory: Path, weights: Weights) -> None:
  """Writes full-size weights into a directory, as the two files of lpips-j, which `load_weights` reads."""
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


def _from_lpips_j() -> Weights:
  """Lets lpips-j open its two files, after a download of our own: pinned, checked, and short without a network."""
  files = {name: _from_hub(name) for name in HUB_FILES}
  try:
    from lpips_j import lpips as lpips_j  # here, because it takes a while and is only needed where no files are at hand
  except ImportError as error:
    raise UserError(
      f'lpips-j, which reads the weights of LPIPS, cannot be imported ({first_line(error)}): install it again, or '
      f'put {_wanted_files()} into {_default_directory()}'
    ) from error

  opened = lpips_j.LPIPS().bind({})  # opens its files when its parts are first asked for

  def linear(_: Path) -> dict:
    return {name: np.asarray(layer.weights).reshape(-1) for name, layer in zip(FEATURES, opened.lins, strict=True)}

  def vgg(_: Path) -> dict:
    with opened.vgg.param_dict as file:
      return _layers(file)

  vgg_file, linear_file = files.values()
  # lpips-j takes neither files nor a revision, and asks the network each time.
  with mock.patch.object(lpips_j, 'hf_hub_download', lambda repo_id, filename: str(files[filename])):
    weights = {'linear': _read(linear_file, linear), 'vgg': _read(vgg_file, vgg)}
  return _checked(weights, vgg_file.parent)


def _from_hub(name: str) -> Path:
  """Returns the file in the hub's cache, else downloads it."""
  import huggingface_hub

  download = partial(huggingface_hub.hf_hub_download, HUB_REPOSITORY, name, revision=HUB_REVISIONS.get(name))
  try:
    return Path(download(local_files_only=True))
  except (OSError, ValueError):
    logging.info('downloading %s from huggingface.co/%s', name, HUB_REPOSITORY)
  try:
    _require_answer(huggingface_hub.constants.ENDPOINT)
    return Path(download(etag_timeout=HUB_TIMEOUT))
  except Exception as error:  # the hub's client raises its own, its transport's and the system's errors
    raise UserError(
      f'no LPIPS weights on this machine, and they could not be downloaded ({type(error).__name__}): '
      f'put {_wanted_files()} into {_default_directory()}'
    ) from error


def _default_directory() -> Path:
  return Path(os.path.expanduser(DEFAULT_DIRECTORY))  # which leaves it as it is where a user has no home


def _require_answer(address: str) -> None:
  """Makes one short attempt: the hub's client would retry for half a minute on a machine without a network."""
  try:
    urllib.request.urlopen(urllib.request.Request(address, method='HEAD'), timeout=HUB_TIMEOUT).close()
  except urllib.error.HTTPError as error:  # any answer will do
    error.close()


def _read_h5(vgg_file: Path, linear_file: Path) -> Weights:
  """Reads files such as lpips-j's: groups conv1_1 .. conv5_3 with `weight` and `bias`, and datasets lin0 .. lin4."""
  import h5py

  def vgg(path: Path) -> dict:
    with h5py.File(path) as file:
      return _layers(file)

  def linear(path: Path) -> dict:
    with h5py.File(path) as file:
      return {name: file[f'lin{i}'][()].reshape(-1) for i, name in enumerate(FEATURES)}

  return _checked({'vgg': _read(vgg_file, vgg), 'linear': _read(linear_file, linear)}, vgg_file.parent)


def _layers(file: Mapping[str, Any]) -> dict:
  return {name: {'kernel': file[name]['weight'][()], 'bias': file[name]['bias'][()]} for name in layer_shapes()}


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
  """The places of convolutions in torchvision's `features`: a ReLU follows each, a pooling each block."""
  indices, index = [], 0
  for widths in BLOCKS:
    indices += [index + 2 * layer for layer in range(len(widths))]
    index += 2 * len(widths) + 1
  return indices


def _read(path: Path, reader: Callable[[Path], dict]) -> dict:
  """Reads a file whose checksum holds; any error that a damaged file makes its library raise becomes a UserError."""
  _check_digest(path)
  try:
    return reader(path)
  except UserError:
    raise
  except Exception as error:
    raise UserError(f'{path} is no weight file of LPIPS, or damaged: delete it and get it again') from error


def _check_digest(path: Path) -> None:
  """Compares a file's digest with the known SHA-256, else with that in its name, else with that of its first use.

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
    with whole_file(record) as part:
      part.write_text(f'{digest}  {path.name}\n')


def _git_digest(path: Path) -> str:
  content = path.read_bytes()
  return hashlib.sha1(b'blob %d\0' % len(content) + content, usedforsecurity=False).hexdigest()


def _linear_digest(linear: dict[str, np.ndarray]) -> str:
  return hashlib.sha256(b''.join(np.asarray(linear[name], '<f4').tobytes() for name in FEATURES)).hexdigest()


def _checked(weights: Weights, directory: Path) -> Weights:
  """Returns the weights in float32 if they have VGG16's shapes, are finite, and the linear ones those of lpips 0.1."""
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
  """Channels of each compared map: relu1_2 has those of conv1_2."""
  shapes = layer_shapes(width)
  return {name: shapes[name.replace('relu', 'conv')][-1] for name in FEATURES}
