"""PyTorch's weight files as arrays, read so that nothing in them is executed."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lpips_jax.core.errors import UserError, first_line

COUNTERS = '.num_batches_tracked'  # of PyTorch's BatchNorm, not needed here
MIN_VERSION = 2, 10  # of PyTorch: in older ones files execute code, or overwrite memory, despite `weights_only`


def read_state(path: Path, trust_torchscript: bool = False) -> tuple[dict[str, np.ndarray], int]:
  """Reads a state dict, which may be the `state_dict` of a training checkpoint.

  Args:
    path: a file of `torch.save`, or TorchScript.
    trust_torchscript: whether TorchScript, which is a program, may be loaded.

  Returns:
    float32 arrays by key, without the `module.` of DataParallel and without BatchNorm's counters; and the checkpoint's
    `global_step`, 0 if it has none.

  Raises:
    UserError: the file cannot be read, holds more than weights, or is TorchScript and not trusted; PyTorch is missing,
      or older than `MIN_VERSION`.
  """
  if not path.is_file():
    raise UserError(f'{path} is not there: give a file of weights')
  files = _files_of_archive(path)
  if any('/code/' in name or name.endswith('/constants.pkl') for name in files):
    return _arrays(_torchscript(path, trust_torchscript), path), 0
  saved = _saved(path)
  step = saved.get('global_step', 0) if isinstance(saved, Mapping) else 0
  state = saved.get('state_dict', saved) if isinstance(saved, Mapping) else saved
  if not isinstance(state, Mapping) or not state:
    raise UserError(f'{path} holds no state dict: give the file that torch.save made of model.state_dict()')
  return _arrays(state, path), step if isinstance(step, int) and step >= 0 else 0


def _torch() -> Any:
  try:
    import torch
  except ImportError as error:
    raise UserError("PyTorch's files need PyTorch to be read: pip install -e '.[convert]'") from error
  if tuple(map(int, re.findall(r'\d+', torch.__version__)[:2])) < MIN_VERSION:
    raise UserError(
      f'PyTorch {torch.__version__} lets files of weights execute code: get '
      f"{MIN_VERSION[0]}.{MIN_VERSION[1]} or newer, pip install -e '.[convert]'"
    )
  return torch


def _files_of_archive(path: Path) -> list[str]:
  """Returns the names of the files in an archive, none for an old format.

  Raises:
    UserError: a checksum, which PyTorch does not check, is wrong.
  """
  if not zipfile.is_zipfile(path):
    return []
  try:
    with zipfile.ZipFile(path) as archive:
      damaged = archive.testzip()
      names = archive.namelist()
  except Exception as error:  # zipfile raises many kinds for damaged archives
    raise UserError(f'{path} is damaged ({first_line(error)}): get it again') from error
  if damaged:
    raise UserError(f'{path} is damaged: the checksum of {damaged} in it is wrong; get it again')
  return names


def _torchscript(path: Path, trusted: bool) -> Mapping[str, Any]:
  if not trusted:
    raise UserError(
      f'{path} is TorchScript: PyTorch loads a program with its weights; if you trust where it is from, set '
      'trust_torchscript',
      'trust_torchscript',
    )
  try:
    return _torch().jit.load(path, map_location='cpu').state_dict()
  except UserError:
    raise
  except Exception as error:  # PyTorch raises many kinds for a damaged archive
    raise UserError(f'{path} is damaged, or no TorchScript ({first_line(error)})') from error


def _saved(path: Path) -> Any:
  """Loads a file of torch.save if it holds tensors and plain containers; other pickles are refused unexecuted."""
  torch = _torch()
  try:
    return torch.load(path, map_location='cpu', weights_only=True)
  except Exception as error:  # PyTorch raises many kinds for damaged, foreign and forbidden files
    raise UserError(
      f'{path} is damaged, or no file of weights, or holds more than weights, which is never executed here '
      f'({type(error).__name__}): get it again from where it was released'
    ) from error


def _arrays(state: Mapping[Any, Any], path: Path) -> dict[str, np.ndarray]:
  torch = _torch()
  strange = [
    str(key) for key, value in state.items() if not isinstance(key, str) or not isinstance(value, torch.Tensor)
  ]
  if strange:
    raise UserError(f'{path} is no state dict: {strange[0]!r} is not the name of a tensor')
  arrays = {
    key.removeprefix('module.'): value.detach().to_dense().float().numpy()
    for key, value in state.items()
    if not key.endswith(COUNTERS)
  }
  wrong = [key for key, value in arrays.items() if not np.isfinite(value).all()]
  if wrong:
    raise UserError(f'{path} is damaged: {wrong[0]} is not finite')
  return arrays
