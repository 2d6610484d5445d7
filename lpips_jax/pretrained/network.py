"""A trained network as a function: loaded from a checkpoint directory or from exported StableHLO, and made faster."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from lpips_jax import models
from lpips_jax.core.constants import SILENT_GENERATOR, SYNC_EXPERT
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.layers import winograd
from lpips_jax.models.silence import shut_mouths
from lpips_jax.pretrained import checkpoint_dir, folding
from lpips_jax.pretrained.checkpoint_dir import (
  CONFIG_FILE,
  DESCRIPTION_FILE,
  JUDGES,
  STABLEHLO_FILE,
  is_exported,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Pretrained:
  """A network with its weights, called like a function; compiled once for each shape.

  A generator maps (faces (n, h, w, 6) float in [0, 1], RGB, masked target then reference; mels (n, 80, steps)) to
  images (n, h, w, 3) in [0, 1]. A sync expert maps (frames (n, 5, h, w, 3), whole crops in [0, 1]; mels (n, 80, 16)) to
  (face_embedding (n, d), audio_embedding (n, d)), both of unit length.

  A generator that was trained with a silent generator is called in the same way: the silent one first shuts the mouths
  of the references.

  Attributes:
    config: the config of the training run.
    model: the Flax module.
    variables: its parameters and statistics: the run's moving average.
    step: the number of updates they have seen.
    silent: the silent generator that it was trained with, if any.
  """

  config: ConfigDict
  model: nn.Module
  variables: dict[str, Any]
  step: int
  silent: 'Pretrained | None' = None

  def __call__(self, *inputs: jax.Array | np.ndarray) -> Any:
    if self.silent is not None:
      faces, speech = map(jnp.asarray, inputs)
      shut_references = shut_mouths(self.silent.model, self.silent, faces[..., 3:])
      inputs = jnp.concatenate([faces[..., :3], shut_references], -1), speech
    with _shape_errors_explained():
      return _compiled(self.model, bool(self.config.get('folded')))(self.variables, *inputs)

  def parts(self, faces: jax.Array, speech: jax.Array) -> jax.Array:
    """Calls a generator that warps; returns `models.warping.parts_of`, (n, h, w, 6), instead of images."""
    with _shape_errors_explained():
      return _compiled(self.model, bool(self.config.get('folded')), True)(self.variables, faces, speech)

  @cached_property
  def fingerprint(self) -> str:
    """Twelve hexadecimal digits that identify the weights."""
    return fingerprint_of(self.variables, *([] if self.silent is None else [self.silent.fingerprint]))


@dataclasses.dataclass(frozen=True, eq=False)
class Exported:
  """A network that lpips_jax.interop.export wrote as StableHLO, weights inside; called like `Pretrained`.

  Attributes:
    config: the config of the training run.
    step: the number of updates its weights have seen.
    program: what `jax.export` deserialised.
  """

  config: ConfigDict
  step: int
  program: jax.export.Exported

  def __call__(self, *inputs: jax.Array | np.ndarray) -> Any:
    return self._call(*inputs)

  @cached_property
  def fingerprint(self) -> str:
    """Twelve hexadecimal digits that identify the program."""
    return hashlib.sha256(self.program.mlir_module_serialized).hexdigest()[:12]

  @cached_property
  def _call(self) -> Any:
    return jax.jit(self.program.call)


def fingerprint_of(tree: Any, *others: str) -> str:
  """Returns twelve hexadecimal digits that identify a tree of arrays: the start of SHA-256 over paths and values.

  Args:
    tree: of NumPy or JAX arrays.
    *others: fingerprints of whatever else the result shall depend on.
  """
  digest = hashlib.sha256()
  for path, leaf in jax.tree.leaves_with_path(tree):
    digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
  for other in others:
    digest.update(other.encode())
  return digest.hexdigest()[:12]


def load(checkpoint: str | Path, trust_stablehlo: bool = False) -> Pretrained | Exported:
  """Loads the newest step of a checkpoint directory (of a sync expert the best), a given step, or exported StableHLO.

  Args:
    checkpoint: the directory, one of its steps, the run that holds it, or a directory with StableHLO; or a URL of one.
    trust_stablehlo: whether StableHLO, which is a program, may be loaded.

  Raises:
    UserError: the directory does not exist, is no checkpoint, is damaged, or holds no such step; or it holds StableHLO
      that is not trusted.
  """
  if not is_exported(checkpoint):
    return _read_checkpoint(checkpoint)
  if not trust_stablehlo:
    raise UserError(
      f'{checkpoint} is StableHLO, a program, and not only weights: if you trust its source, add trust_stablehlo=True',
      'trust_stablehlo',
    )
  return _read_exported(checkpoint_dir.local_path(checkpoint))


def load_weights(checkpoint: str | Path) -> Pretrained:
  """Loads a network with its weights, as `load` does; raises UserError for StableHLO as well."""
  if is_exported(checkpoint):
    raise UserError(f'{checkpoint} is exported StableHLO: give the checkpoint directory that it was made from')
  return _read_checkpoint(checkpoint)


def load_expert(checkpoint: str | Path) -> Pretrained:
  """Loads a sync expert, as `load_weights` does; raises UserError when the checkpoint holds another network."""
  return load_of_task(checkpoint, SYNC_EXPERT)


def load_of_task(checkpoint: str | Path, task: str) -> Pretrained:
  """Loads a network as `load_weights` does; raises UserError when it was trained for another task."""
  network = load_weights(checkpoint)
  if network.config.task != task:
    raise UserError(f'{checkpoint} holds a {network.config.task}, not a {task}')
  return network


def load_expert_of(checkpoint: str | Path) -> Pretrained:
  """Loads the sync expert that a generator was trained with; raises UserError if none is kept beside it."""
  directory = checkpoint_dir.find(checkpoint)
  if not (directory / SYNC_EXPERT).is_dir():
    raise UserError(f'{directory} keeps no sync expert to score lips with: give one as sync_expert', 'sync_expert')
  return load_expert(directory / SYNC_EXPERT)


def load_silent_generator(checkpoint: str | Path) -> Pretrained:
  """Loads a silent generator, as `load_weights` does; raises UserError when the network cannot serve as one."""
  network = load_weights(checkpoint)
  if network.config.task != 'generator':
    raise UserError(f'{checkpoint} holds a {network.config.task}, not a generator')
  if network.config.get('folded'):
    raise UserError(f'{checkpoint} has its BatchNorm folded away: give the checkpoint before folding')
  if network.silent is not None:
    raise UserError(f'{checkpoint} was trained with a silent generator: give that one, or another without')
  return network


def save(directory: Path, network: Pretrained) -> None:
  """Writes a network as a checkpoint directory, which `load` reads, and training for its frozen networks."""
  checkpoint_dir.write(directory, network.config, network.variables, network.step)
  if network.silent is not None:
    save(directory / SILENT_GENERATOR, network.silent)


def folded(network: Pretrained) -> Pretrained:
  """Returns the same function with BatchNorm folded into the convolutions: see `lpips_jax.pretrained.folding`."""
  if network.config.get('folded'):
    return network
  config = ConfigDict(network.config.to_dict() | {'folded': True})
  inputs = models.example_inputs(network.config.model)
  with _shape_errors_explained():
    variables = jax.device_put(folding.fold(network.model, jax.device_get(network.variables), *inputs))
  silent = None if network.silent is None else folded(network.silent)
  return dataclasses.replace(network, config=config, variables=variables, silent=silent)


def without_training_parts(network: Pretrained) -> Pretrained:
  """Returns the same function without the variables that training alone uses: see `lpips_jax.pretrained.folding`."""
  variables = folding.without_training_modules(network.model, network.variables)
  silent = None if network.silent is None else without_training_parts(network.silent)
  return dataclasses.replace(network, variables=variables, silent=silent)


def with_winograd(network: Pretrained) -> Pretrained:
  """Returns the same function with Winograd's convolutions, faster on a CPU in float32: see `layers.winograd`.

  Args:
    network: from `folded`. Its silent generator stays as it is.
  """
  with _shape_errors_explained():
    variables = winograd.transform_kernels(
      partial(folding.apply, network.model), network.variables, *models.example_inputs(network.config.model)
    )
  return dataclasses.replace(network, variables=jax.device_put(variables))


def variable_shapes(config: ConfigDict) -> dict[str, Any]:
  """Returns the shapes of the variables of a network with this config, without what training alone uses."""
  model, inputs = models.build(config.model), models.example_inputs(config.model)
  variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
  if not config.get('folded'):
    return folding.without_training_modules(model, variables)
  return jax.eval_shape(lambda variables: folding.fold(model, variables, *inputs), variables)


def _read_checkpoint(checkpoint: str | Path) -> Pretrained:
  directory, wanted = checkpoint_dir.find_step(checkpoint)
  config = checkpoint_dir.read_config(directory)
  try:
    model = models.build(config.model)
    # The newest step of an expert may have overfitted its clips.
    variables, step = checkpoint_dir.read_variables(directory, wanted, config.get('task') in JUDGES)
    silent = load_weights(directory / SILENT_GENERATOR) if config.get(SILENT_GENERATOR) else None
  except UserError:
    raise
  except Exception as error:  # whatever Orbax and Flax make of files that are missing, cut short or foreign
    raise UserError(f'{directory} is damaged or incomplete ({first_line(error)})') from error
  return Pretrained(config, model, variables, step, silent)


def _read_exported(directory: Path) -> Exported:
  try:
    description = json.loads((directory / DESCRIPTION_FILE).read_text())
    program = (directory / STABLEHLO_FILE).read_bytes()
    if hashlib.sha256(program).hexdigest() != description['sha256']:
      raise UserError(f'{directory} is damaged: {STABLEHLO_FILE} is not what {DESCRIPTION_FILE} was written for')
    return Exported(ConfigDict(description['config']), description['step'], jax.export.deserialize(bytearray(program)))
  except UserError:
    raise
  except Exception as error:  # whatever JAX and JSON make of files that are missing, cut short or foreign
    raise UserError(f'{directory} is damaged or incomplete ({first_line(error)})') from error


@cache
def _compiled(model: nn.Module, folded: bool, parts: bool = False) -> Any:
  """Returns one program for all networks of a kind: trained and untrained, averaged and not."""
  apply = partial(folding.apply if folded else nn.Module.apply, model)
  return jax.jit(partial(apply, parts=True) if parts else apply)


@contextlib.contextmanager
def _shape_errors_explained() -> Iterator[None]:
  """Turns Flax's errors about shapes and missing parameters into a UserError: nothing checks weights until used."""
  try:
    yield
  except flax.errors.FlaxError as error:
    raise UserError(
      f'the weights of this checkpoint do not fit the network that its {CONFIG_FILE} describes ({first_line(error)})'
    ) from error
