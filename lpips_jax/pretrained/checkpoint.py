"""A checkpoint directory as a callable: what evaluation, dubbing and other people's code use of a training run.

A checkpoint directory holds `config.json`, one directory a saved step, and, for a generator, the frozen networks that
it was trained with, themselves checkpoint directories: `sync_expert`, which judged it, and, if there was one,
`silent_generator`, which shuts the mouths that it is shown, in training and ever after. Who asks for one gets its
newest step, or a sync expert's best; `DIR/12000` is that of 12,000 updates, `DIR/best` the one with the least evaluated
loss (of experts, that ranks best) of those that were kept.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding
from ml_collections import ConfigDict
from orbax.checkpoint import v1 as ocp

from lpips_jax import models
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import write_whole
from lpips_jax.layers import winograd
from lpips_jax.models.silence import shut
from lpips_jax.pretrained import folding

CONFIG_FILE = 'config.json'
SYNC_EXPERT, SILENT_GENERATOR = 'sync_expert', 'silent_generator'  # keys of a config, and where runs keep copies
SAFETENSORS, STABLEHLO = 'model.safetensors', 'model.stablehlo'  # what lpips_jax.interop.export writes,
DESCRIPTION = 'model.json'  # and what it says of them
VARIABLES = 'model'  # the name of the averaged variables among a step's checkpointables
BEST = 'best'
LOSS = 'loss'  # the metric saved with a step that says how good it is: less is better;
RANKING = 'ranking'  # and of an expert's, which comes first: more is better


@dataclasses.dataclass(frozen=True, eq=False)
class Pretrained:
  """A network with its weights.

  Called as a generator: (faces (n, h, w, 6) float in [0, 1], RGB, masked target then reference; mels (n, 80, 16)) ->
  (n, h, w, 3) in [0, 1]. Called as a sync expert: (frames (n, 5, h, w, 3) whole crops in [0, 1]; mels (n, 80, 16)) ->
  (face_embedding (n, d), audio_embedding (n, d)), of unit length. Compiled once for each shape.

  A generator that was trained with a silent generator is called in the same way: that one shuts the mouths of the
  references first.

  Attributes:
    config: the config of the training run.
    model: the Flax module.
    variables: its parameters and statistics: the run's moving average.
    step: how many updates they have seen.
    silent: the silent generator that it was trained with, if any.
  """

  config: ConfigDict
  model: nn.Module
  variables: dict[str, Any]
  step: int
  silent: 'Pretrained | None' = None

  def __call__(self, *inputs: jax.Array) -> Any:
    if self.silent is not None:
      faces, speech = inputs
      rest = shut(self.silent.model, self.silent, faces[..., 3:])
      inputs = jnp.concatenate([faces[..., :3], rest], -1), speech
    with _weights_that_fit():
      return _compiled(self.model, bool(self.config.get('folded')))(self.variables, *inputs)

  def parts(self, faces: jax.Array, speech: jax.Array) -> jax.Array:
    """Called as a generator that warps: what `models.warping.parts_of` returns, (n, h, w, 6), in place of images."""
    with _weights_that_fit():
      return _compiled(self.model, bool(self.config.get('folded')), True)(self.variables, faces, speech)

  @cached_property
  def fingerprint(self) -> str:
    """Twelve digits that other weights do not have."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(self.variables):
      digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    if self.silent is not None:
      digest.update(self.silent.fingerprint.encode())
    return digest.hexdigest()[:12]


@dataclasses.dataclass(frozen=True, eq=False)
class Exported:
  """A network as lpips_jax.interop.export wrote it as StableHLO: called as `Pretrained`; its weights are inside."""

  config: ConfigDict
  step: int
  program: Any

  def __call__(self, *inputs: jax.Array) -> Any:
    return self._call(*inputs)

  @cached_property
  def fingerprint(self) -> str:
    """Twelve digits that another program does not have."""
    return hashlib.sha256(self.program.mlir_module_serialized).hexdigest()[:12]

  @cached_property
  def _call(self) -> Any:
    return jax.jit(self.program.call)


@cache
def _compiled(model: nn.Module, folded: bool, parts: bool = False) -> Any:
  """One program for all networks of a kind: trained and untrained, averaged and not."""
  options = {'parts': True} if parts else {}
  return jax.jit(partial(folding.apply if folded else nn.Module.apply, model, **options))


def load(checkpoint: str | Path, trust_stablehlo: bool = False) -> Pretrained | Exported:
  """Loads a step of a checkpoint directory, or of the run (`--workdir`) that holds one, or exported StableHLO.

  Args:
    checkpoint: the directory.
    trust_stablehlo: whether StableHLO, which is a program, may be loaded.

  Raises:
    UserError: the directory is not there, or is no checkpoint, or is damaged, or holds no such step; or StableHLO that
      is not trusted.
  """
  if is_exported(checkpoint):
    if not trust_stablehlo:
      raise UserError(
        f'{checkpoint} is StableHLO, a program, and not only weights: if you trust where it is from, add '
        '--trust_stablehlo to infer.py or evaluate.py, or trust_stablehlo=True to lpips_jax.load'
      )
    return _read_exported(Path(checkpoint).expanduser())
  directory, step = _find(checkpoint)
  config = read_config(directory)
  try:
    return _read(directory, config, step)
  except UserError:
    raise
  except Exception as error:  # whatever Orbax and Flax make of files that are missing, cut short or not theirs
    raise UserError(f'{directory} is damaged or incomplete ({first_line(error)})') from error


def is_exported(checkpoint: str | Path) -> bool:
  """Whether a directory holds StableHLO, from which weights do not come out again."""
  return (Path(checkpoint).expanduser() / STABLEHLO).is_file()


def load_weights(checkpoint: str | Path) -> Pretrained:
  """Loads a network with its weights, as `load` does; raises UserError for StableHLO, too."""
  if is_exported(checkpoint):
    raise UserError(f'{checkpoint} is exported StableHLO: give the checkpoint directory that it is made of')
  return load(checkpoint)


def load_expert(checkpoint: str | Path) -> Pretrained:
  """Loads a sync expert, as `load_weights` does; raises UserError when the checkpoint holds another network."""
  expert = load_weights(checkpoint)
  if expert.config.task != 'sync_expert':
    raise UserError(f'{checkpoint} holds a {expert.config.task}, not a sync_expert')
  return expert


def load_silent(checkpoint: str | Path) -> Pretrained:
  """Loads a silent generator, as `load_weights`; raises UserError when the checkpoint holds what cannot be one."""
  network = load_weights(checkpoint)
  if network.config.task != 'generator':
    raise UserError(f'{checkpoint} holds a {network.config.task}, not a generator')
  if network.config.get('folded'):
    raise UserError(f'{checkpoint} has its BatchNorm folded away: give the checkpoint before folding')
  if network.silent is not None:
    raise UserError(f'{checkpoint} was trained with a silent generator: give that one, or another without')
  return network


def folded(network: Pretrained) -> Pretrained:
  """The same function with BatchNorm folded into the convolutions: see `lpips_jax.pretrained.folding`."""
  if network.config.get('folded'):
    return network
  config = ConfigDict(network.config.to_dict() | {'folded': True})
  inputs = models.example_inputs(network.config.model)
  with _weights_that_fit():
    variables = jax.device_put(folding.fold(network.model, jax.device_get(network.variables), *inputs))
  silent = None if network.silent is None else folded(network.silent)
  return dataclasses.replace(network, config=config, variables=variables, silent=silent)


def with_fewer_multiplications(network: Pretrained) -> Pretrained:
  """The same function of a folded network, faster on a CPU, in float32: see `lpips_jax.layers.winograd`.

  A silent generator stays as it is.
  """
  with _weights_that_fit():
    variables = winograd.transform_kernels(
      partial(folding.apply, network.model), network.variables, *models.example_inputs(network.config.model)
    )
  return dataclasses.replace(network, variables=jax.device_put(variables))


def save(directory: Path, network: Pretrained) -> None:
  """Writes a network as a checkpoint directory; `load` reads it, and training takes its frozen networks."""
  with ocp.training.Checkpointer(directory.absolute()) as checkpointer:
    checkpointer.save_checkpointables(network.step, {VARIABLES: network.variables})
  write_whole(directory / CONFIG_FILE, network.config.to_json_best_effort(indent=2) + '\n')
  if network.silent is not None:
    save(directory / SILENT_GENERATOR, network.silent)


def expert_of(checkpoint: str | Path) -> Pretrained:
  """Loads the sync expert that a generator was trained with; raises UserError if none is kept with it."""
  directory = find(checkpoint)
  if not (directory / SYNC_EXPERT).is_dir():
    raise UserError(f'{directory} keeps no sync expert to judge lips by: give one with --sync_expert')
  return load_expert(directory / SYNC_EXPERT)


def find(checkpoint: str | Path) -> Path:
  """Returns the absolute checkpoint directory, for itself, a step of it, or the run that holds it; raises UserError."""
  return _find(checkpoint)[0]


def best_first(saved: Sequence[Any]) -> list[int]:
  """The steps among Orbax's `checkpoints` that were evaluated, the best first: of the greatest ranking, or least loss.

  An expert that learns its clips by heart is ever surer of those that it never saw, and its loss grows, while it still
  ranks them better.
  """
  judged = [checkpoint for checkpoint in saved if checkpoint.metrics and math.isfinite(checkpoint.metrics[LOSS])]
  judged.sort(key=lambda checkpoint: (-checkpoint.metrics.get(RANKING, 0), checkpoint.metrics[LOSS]))
  return [checkpoint.step for checkpoint in judged]


def has_steps(directory: Path) -> bool:
  """Whether training has saved anything there."""
  return any(child.name.isdigit() for child in directory.iterdir())


def read_config(directory: Path) -> ConfigDict:
  """Reads the config beside the steps; raises UserError when it is damaged."""
  try:
    return ConfigDict(json.loads((directory / CONFIG_FILE).read_text()))
  except (OSError, ValueError, AttributeError) as error:
    raise UserError(
      f'{directory / CONFIG_FILE} cannot be read ({error}): bring back a copy of it, or use another directory'
    ) from error


def variable_shapes(config: ConfigDict) -> dict[str, Any]:
  """The shapes of the variables of a network with this config."""
  model, inputs = models.build(config.model), models.example_inputs(config.model)
  variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
  if not config.get('folded'):
    return variables
  return jax.eval_shape(lambda variables: folding.fold(model, variables, *inputs), variables)


def on_one_device(shapes: Any) -> Any:
  """Returns shapes that Orbax reads onto this process's first device, wherever the arrays were when they were saved."""
  here = SingleDeviceSharding(jax.local_devices()[0])
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), shapes)


@contextlib.contextmanager
def _weights_that_fit() -> Iterator[None]:
  """Nobody looks whether weights are those that a config asks for before they are used."""
  try:
    yield
  except flax.errors.FlaxError as error:
    raise UserError(
      f'the weights of this checkpoint are not of the network that its {CONFIG_FILE} describes ({first_line(error)})'
    ) from error


def _find(checkpoint: str | Path) -> tuple[Path, str]:
  """The checkpoint directory, and which step of it: a number, `BEST`, or '' for the newest."""
  given = Path(checkpoint).expanduser().absolute()
  choices = [(given, ''), (given / 'checkpoint', '')]
  if given.name == BEST or given.name.isdigit():
    choices.append((given.parent, given.name))
  for directory, step in choices:
    if (directory / CONFIG_FILE).is_file() and has_steps(directory):
      return directory, step
  if given.is_file() or (given / SAFETENSORS).is_file():
    raise UserError(f'{checkpoint} is not a checkpoint directory: make one of it with lpips_jax.interop.convert')
  problem = 'is not a checkpoint directory' if given.exists() else 'does not exist'
  raise UserError(f'{checkpoint} {problem}: give the directory that train.py left as WORKDIR/checkpoint')


def _read(directory: Path, config: ConfigDict, wanted: str) -> Pretrained:
  model = models.build(config.model)
  with ocp.training.Checkpointer(directory) as checkpointer:
    if not wanted and config.get('task') == 'sync_expert' and best_first(checkpointer.checkpoints):
      wanted = BEST  # the newest may have learnt its clips by heart
    step = _choose(checkpointer.checkpoints, directory, wanted)
    # As shapes of what is there, not as those the model would have: tracing it takes longer than reading it.
    shapes = ocp.metadata(directory / str(step), VARIABLES).metadata
    variables = checkpointer.load_checkpointables(step, {VARIABLES: on_one_device(shapes)})[VARIABLES]
  silent = load_weights(directory / SILENT_GENERATOR) if config.get(SILENT_GENERATOR) else None
  return Pretrained(config, model, variables, step, silent)


def _read_exported(directory: Path) -> Exported:
  try:
    described = json.loads((directory / DESCRIPTION).read_text())
    program = (directory / STABLEHLO).read_bytes()
    if hashlib.sha256(program).hexdigest() != described['sha256']:
      raise UserError(f'{directory} is damaged: {STABLEHLO} is not what {DESCRIPTION} was written for')
    return Exported(ConfigDict(described['config']), described['step'], jax.export.deserialize(bytearray(program)))
  except UserError:
    raise
  except Exception as error:  # whatever JAX and JSON make of files that are missing, cut short or not theirs
    raise UserError(f'{directory} is damaged or incomplete ({first_line(error)})') from error


def _choose(saved: Sequence[Any], directory: Path, wanted: str) -> int:
  if not saved:
    raise UserError(f'{directory} holds no finished checkpoint yet: train further, or give another --checkpoint')
  if not wanted:
    return saved[-1].step
  if wanted == BEST:
    if best_first(saved):
      return best_first(saved)[0]
  elif int(wanted) in [checkpoint.step for checkpoint in saved]:
    return int(wanted)
  raise UserError(f'{directory} has no step {wanted}; there are {", ".join(str(c.step) for c in saved)}')
