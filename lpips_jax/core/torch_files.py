"""PyTorch's weight files as arrays, read without PyTorch and so that nothing in them is executed."""

import mmap
import re
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from lpips_jax.core import inert_pickle
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.inert_pickle import Name

COUNTERS = '.num_batches_tracked'  # of PyTorch's BatchNorm, not needed here
MIN_VERSION = 2, 10  # of PyTorch, for TorchScript: older ones overwrite memory
WEIGHTS = 'state_dict', 'model'  # in training checkpoints; the second one is fairseq's
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first of five pickles, before version 1.6
MAX_AXES = 32
MAX_NUMBER = 2**63  # of sizes and steps: arithmetic with longer ones could take any time
MAX_SHARING = 8  # numbers in all tensors for each one in the file: weights may be tied
DTYPES = {  # of PyTorch's storages
  'DoubleStorage': '<f8',
  'FloatStorage': '<f4',
  'HalfStorage': '<f2',
  'BFloat16Storage': '<u2',
  'LongStorage': '<i8',
  'IntStorage': '<i4',
  'ShortStorage': '<i2',
  'CharStorage': 'i1',
  'ByteStorage': 'u1',
  'BoolStorage': 'u1',
}


class Storage(NamedTuple):
  """A place of numbers: its key, its type, and how many it has."""

  key: str
  kind: str
  size: int


class Tensor(NamedTuple):
  """Numbers of a storage: the first one's place, the shape, and for each axis the places from one to the next."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def read_state(path: Path, trust_torchscript: bool = False) -> tuple[dict[str, np.ndarray], int]:
  """Reads a state dict, which may be the `state_dict` of a training checkpoint, or the `model` of fairseq's.

  Whatever else such a checkpoint holds, objects of any class among it, is neither made nor looked at.

  Args:
    path: a file of `torch.save`, or TorchScript.
    trust_torchscript: whether TorchScript, which is a program, may be loaded; that needs PyTorch.

  Returns:
    float32 arrays by key, which must not be written to, without the `module.` of DataParallel and without BatchNorm's
    counters; and the checkpoint's `global_step`, 0 if it has none.

  Raises:
    UserError: the file cannot be read, has no weights, or is TorchScript and not trusted; for TorchScript, PyTorch is
      missing, or older than `MIN_VERSION`.
  """
  if not path.is_file():
    raise UserError(f'{path} is not there: give a file of weights')
  files = _files_of_archive(path)
  if any('/code/' in name or name.endswith('/constants.pkl') for name in files):
    return _cleaned(_torchscript(path, trust_torchscript), path), 0
  saved, numbers = _read(path, files)
  step = saved.get('global_step', 0) if isinstance(saved, dict) else 0
  state = next((saved[key] for key in WEIGHTS if key in saved), saved) if isinstance(saved, dict) else saved
  if not isinstance(state, dict) or not state:
    raise UserError(
      f'{path} holds no state dict, and objects in it are never executed here: give the file that torch.save made of '
      'model.state_dict()'
    )
  known = type(step) is int and 0 <= step < MAX_NUMBER
  return _cleaned(_arrays(state, numbers, path), path), step if known else 0


def _files_of_archive(path: Path) -> list[str]:
  """Returns the names of the files in an archive, none for an old format.

  Raises:
    UserError: it is damaged.
  """
  if not zipfile.is_zipfile(path):
    return []
  try:
    with zipfile.ZipFile(path) as archive:
      return archive.namelist()
  except Exception as error:  # zipfile raises many kinds for damaged archives
    raise UserError(f'{path} is damaged ({first_line(error)}): get it again') from error


def _torchscript(path: Path, trusted: bool) -> dict[str, np.ndarray]:
  if not trusted:
    raise UserError(
      f'{path} is TorchScript: PyTorch loads a program with its weights; if you trust where it is from, set '
      'trust_torchscript',
      'trust_torchscript',
    )
  try:
    state = _torch().jit.load(path, map_location='cpu').state_dict()
    return {key: value.detach().to_dense().float().numpy() for key, value in state.items()}
  except UserError:
    raise
  except Exception as error:  # PyTorch raises many kinds for a damaged archive
    raise UserError(f'{path} is damaged, or no TorchScript ({first_line(error)})') from error


def _torch() -> Any:
  try:
    import torch
  except ImportError as error:
    raise UserError("TorchScript needs PyTorch to be read: pip install -e '.[convert]'") from error
  if tuple(map(int, re.findall(r'\d+', torch.__version__)[:2])) < MIN_VERSION:
    raise UserError(
      f'PyTorch {torch.__version__} lets files of weights execute code: get '
      f"{MIN_VERSION[0]}.{MIN_VERSION[1]} or newer, pip install -e '.[convert]'"
    )
  return torch


def _read(path: Path, files: list[str]) -> tuple[Any, Mapping[str, bytes]]:
  """Returns what was saved, with tensors as `Tensor`, and the bytes of its storages.

  Raises:
    UserError: the file is damaged, or none of torch.save.
  """
  try:
    return _read_archive(path, files) if files else _read_legacy(path)
  except Exception as error:  # a damaged pickle may ask for anything
    raise UserError(
      f'{path} is damaged, or no file of weights, which are read and never executed here ({first_line(error)}): get it '
      'again from where it was released'
    ) from error


def _read_archive(path: Path, files: list[str]) -> tuple[Any, dict[str, bytes]]:
  [pickled] = [name for name in files if name.split('/')[1:] == ['data.pkl']]
  root = pickled.removesuffix('data.pkl')
  with zipfile.ZipFile(path) as archive:
    members = archive.infolist()
    if any(x.compress_type for x in members) or sum(x.file_size for x in members) > path.stat().st_size:
      # It could take any memory, and any time to check. Those of torch.save are neither compressed nor overlapping.
      raise ValueError('it is compressed')
    damaged = archive.testzip()
    if damaged:
      raise ValueError(f'the checksum of {damaged!r} is wrong')
    if f'{root}byteorder' in files and archive.read(f'{root}byteorder') != b'little':
      raise ValueError('its numbers are big-endian')
    saved = _unpickled(BytesIO(archive.read(pickled)))
    folder = f'{root}data/'
    return saved, {name.removeprefix(folder): archive.read(name) for name in files if name.startswith(folder)}


def _read_legacy(path: Path) -> tuple[Any, dict[str, bytes]]:
  """Reads five pickles, magic number, version, system, what was saved and the keys of storages; then the storages."""
  with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
    stream = cast(BinaryIO, memory)
    if _unpickled(stream) != LEGACY_MAGIC:
      raise ValueError('it is no file of torch.save')
    kinds: dict[str, str] = {}
    _, system = _unpickled(stream), _unpickled(stream)
    if not system['little_endian']:
      raise ValueError('its numbers are big-endian')
    saved = _unpickled(stream, kinds)
    numbers = {}
    for key in _unpickled(stream):
      if not isinstance(key, str):  # to hash tuples of tuples could take any time
        raise ValueError('a storage has no name')
      [size] = np.frombuffer(stream.read(8), '<i8')
      wanted = int(size) * np.dtype(DTYPES[kinds[key]]).itemsize
      numbers[key] = stream.read(max(wanted, 0))
      if len(numbers[key]) != wanted:
        raise ValueError('it ends too early')
    return saved, numbers


def _unpickled(stream: BinaryIO, kinds: dict[str, str] | None = None) -> Any:
  """Reads one pickle; notes in `kinds`, if given, the types of the storages it refers to."""

  def storage(identifier: Any) -> Any:
    if isinstance(identifier, tuple) and len(identifier) == 6 and identifier[5] is None:
      identifier = identifier[:5]  # a view of a storage, which no file has any more
    match identifier:
      case ('storage', Name('torch', kind), str(key), _, int(size)) if kind in DTYPES and abs(size) < MAX_NUMBER:
        if kinds is not None:
          kinds[key] = kind
        return Storage(key, kind, size)
    return inert_pickle.Opaque()

  return inert_pickle.load(stream, RULES, storage)


def _tensor(arguments: tuple[Any, ...]) -> Any:
  match arguments:
    case (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_):
      few = len(shape) == len(strides) <= MAX_AXES  # first, as a file can have one long shape and refer to it often
      if few and all(type(x) is int and abs(x) < MAX_NUMBER for x in (offset, *shape, *strides)):
        return Tensor(storage, offset, shape, strides)
  return inert_pickle.Opaque()


def _parameter(arguments: tuple[Any, ...]) -> Any:
  return arguments[0] if arguments and isinstance(arguments[0], Tensor) else inert_pickle.Opaque()


def _ordered(arguments: tuple[Any, ...]) -> dict[str, Any]:
  """Python 2 gave the items to the constructor. They are moved: copies of one list could take any memory."""
  items = arguments[0] if arguments and isinstance(arguments[0], list) else []
  moved = {key: value for key, value in items if isinstance(key, str)}
  items.clear()
  return moved


RULES: dict[Name, Callable[[tuple[Any, ...]], Any]] = {
  Name('torch._utils', '_rebuild_tensor'): _tensor,
  Name('torch._utils', '_rebuild_tensor_v2'): _tensor,
  Name('torch._utils', '_rebuild_parameter'): _parameter,
  Name('torch._utils', '_rebuild_parameter_with_state'): _parameter,
  Name('collections', 'OrderedDict'): _ordered,
}


def _arrays(state: dict[Any, Any], numbers: Mapping[str, bytes], path: Path) -> dict[str, np.ndarray]:
  """Returns views of the storages as float32, so that they take no more memory than those."""
  for key, value in state.items():
    if not isinstance(key, str) or not isinstance(value, Tensor):
      raise UserError(f'{path} is no state dict: {str(key)[:100]!r} is not the name of a tensor')
  storages = {tensor.storage: None for tensor in state.values()}
  try:
    if len({storage.key for storage in storages}) < len(storages):
      raise ValueError('storages have several types or sizes')
    values = {storage: _storage_values(storage, numbers) for storage in storages}
    if sum(map(_count, state.values())) > MAX_SHARING * sum(map(len, values.values())):
      raise ValueError('tensors have more numbers than there are')
    return {key: _view(tensor, values[tensor.storage]) for key, tensor in state.items()}
  except (KeyError, ValueError) as error:
    raise UserError(f'{path} is damaged ({first_line(error)}): get it again') from error


def _storage_values(storage: Storage, numbers: Mapping[str, bytes]) -> np.ndarray:
  """Returns a storage's numbers in float32.

  Raises:
    KeyError: there is no such storage.
    ValueError: it has another number of bytes than it should have.
  """
  values = np.frombuffer(numbers[storage.key], DTYPES[storage.kind])
  if len(values) != storage.size:
    raise ValueError(f'storage {storage.key!r} has {len(values)} numbers, not {storage.size}')
  if storage.kind == 'BFloat16Storage':
    return (values.astype(np.uint32) << 16).view(np.float32)
  with np.errstate(over='ignore'):
    return values.astype(np.float32)


def _count(tensor: Tensor) -> int:
  return int(np.prod([max(size, 0) for size in tensor.shape], dtype=object))


def _view(tensor: Tensor, values: np.ndarray) -> np.ndarray:
  """Returns the tensor's numbers; raises ValueError if some of them are outside their storage."""
  _, offset, shape, strides = tensor
  last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
  wrong = min((offset, *shape, *strides)) < 0 or _count(tensor) > len(values)
  if wrong or (0 not in shape and last >= len(values)):
    raise ValueError('a tensor lies outside its storage')
  if 0 in shape:
    return np.zeros(shape, np.float32)
  steps = tuple(stride * values.itemsize if size > 1 else 0 for size, stride in zip(shape, strides, strict=True))
  return np.lib.stride_tricks.as_strided(values[offset:], shape, steps, writeable=False)


def _cleaned(arrays: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
  """Removes counters, and a prefix of names; raises UserError if there is nothing else, or numbers are not finite."""
  kept = {key.removeprefix('module.'): value for key, value in arrays.items() if not key.endswith(COUNTERS)}
  if not kept:
    raise UserError(f'{path} has counters of batches and no weights: get it again from where it was released')
  wrong = [key for key, value in kept.items() if not np.isfinite(value).all()]
  if wrong:
    raise UserError(f'{path} is damaged: {wrong[0][:100]!r} is not finite')
  return kept
