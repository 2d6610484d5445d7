"""The train step as a program for devices that need not be there: shapes in, compiled program and its figures out."""

import re
import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from lpips_jax.cli import UserError
from lpips_jax.conventions import WINDOW_FRAMES
from lpips_jax.training import sharding, tasks
from lpips_jax.training.planning import collectives, hlo
from lpips_jax.training.planning.collectives import Traffic

LEVELS = {'O0': 9, 'O1': 19, 'O2': 29, 'O3': 39}  # XLA's ExecutionOptions.EffortLevel
SMALL = 1 << 20  # bytes: less is statistics and other scalars, more is gradients


@dataclass(frozen=True)
class Program:
  """What the compiler tells of a step; None where it does not tell.

  Attributes:
    seconds: that compiling took.
    memory: bytes on each device: `arguments`, `outputs`, `temporaries`, `aliased` (outputs that take the place of
      arguments), `code` and `peak`.
    flops: on each device, everything that the compiled program does; the body of a loop counted once.
    bytes_accessed: on each device, as XLA counts them: also the bodies of loops once, and whole what is only sliced.
    memory_traffic: bytes to and from the main memory of each device, see `hlo.memory_traffic`.
    padding: how many of those are padding of tiles.
    traffic: between devices.
    text: the optimised program.
  """

  seconds: float
  memory: dict[str, int] | None
  flops: float | None
  bytes_accessed: float | None
  memory_traffic: int
  padding: int
  traffic: Traffic
  text: str


class OutOfMemory(UserError):
  """The compiler finds that the step does not fit the device's memory."""


def arguments(config: ConfigDict, frozen: tasks.Frozen | None = None) -> tuple[tasks.Task, tuple[Any, Any, Any]]:
  """The task that a config asks for, and the shapes of state, batch and frozen weights that its step takes.

  Args:
    config: has passed `checking.check_config`.
    frozen: what `tasks.load_frozen` or `frozen_shapes` returned; the latter, if None.

  Raises:
    UserError: the config names an expert that is not there.
  """
  config = ConfigDict(config.to_dict())
  if config.task == 'generator':
    config.audio_encoder_from_expert = False  # the same shapes, without the values
  frozen = frozen or tasks.frozen_shapes(config)
  task = tasks.make_task(config, frozen)
  weights = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), frozen.weights)
  return task, (jax.eval_shape(task.init), batch_shapes(config), weights)


def batch_shapes(config: ConfigDict) -> dict[str, jax.ShapeDtypeStruct]:
  """The batch of all devices that a step takes, as `generator_step` and `expert_step` say."""
  size, lead = config.model.image_size, (config.data.batch_size,)
  frames, mel = (WINDOW_FRAMES, size, size, 3), (80, 16)
  if config.task == 'sync_expert':
    lead += (config.data.windows,)
    shapes = {'frames': (*lead, *frames), 'mel': (*lead, *mel), 'start': lead}
  else:
    shapes = {'target': (*lead, *frames), 'reference': (*lead, *frames)}
    shapes |= {'mel': (*lead, WINDOW_FRAMES, *mel), 'window_mel': (*lead, *mel), 'window_phones': (*lead, *mel)}
  dtypes = {'start': jnp.int32} | dict.fromkeys(('mel', 'window_mel', 'window_phones'), jnp.float32)
  return {name: jax.ShapeDtypeStruct(shape, dtypes.get(name, jnp.uint8)) for name, shape in shapes.items()}


def parameters(config: ConfigDict) -> dict[str, int]:
  """How many numbers each network of a step has, by its name, and how many are `trained` together."""
  _, (state, _, weights) = arguments(config)
  counts = {config.task: _count(state.variables['params'])}
  if state.adversary:
    counts['discriminator'] = _count(state.adversary.params)
  trained = sum(counts.values())
  if 'expert' in weights:
    counts['frozen sync_expert'] = _count(weights['expert']['params'])
  if 'silent' in weights:
    counts['frozen silent_generator'] = _count(weights['silent']['params'])
  if weights.get('lpips'):
    counts['frozen lpips'] = _count(weights['lpips'])
  return counts | {'trained': trained}


def count_flops(config: ConfigDict, frozen: tasks.Frozen | None = None) -> float | None:
  """The floating-point operations of a step, on all devices together: each once; None in a process without CPU devices.

  Nothing that `remat` makes twice counts, and all parts of an accumulated batch do. Arguments as for `arguments`.
  """
  config = ConfigDict(config.to_dict())
  config.update(accumulate=1, remat=False)
  task, shapes = arguments(config, frozen)
  try:
    cpu = jax.local_devices(backend='cpu')[0]  # GPUs and TPUs count nothing before they have compiled it
  except RuntimeError:
    return None
  with jax.default_device(cpu):
    return jax.jit(task.step).lower(*shapes).cost_analysis()['flops']


def compile_step(config: ConfigDict, mesh: Mesh, level: str | None = None) -> Program:
  """Compiles the step that `train.py` runs, for the devices of a mesh; needs them not.

  Args:
    config: has passed `checking.check_config`; its batch divides among the devices.
    mesh: from `topologies.mesh_of`.
    level: how much the compiler does, 'O0' to 'O3'; None leaves it to the compiler, as training does.

  Raises:
    OutOfMemory: it does not fit.
  """
  task, shapes = arguments(config)
  step, _ = sharding.jitted(task, mesh)
  lowered = step.lower(*shapes)
  started = time.monotonic()
  try:
    compiled = compile_lowered(lowered, _options(level))
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    raise OutOfMemory(_what_is_short(str(error))) from error
  seconds = time.monotonic() - started
  cost, text = compiled.cost_analysis() or {}, compiled.as_text()
  module = hlo.parse(text)
  moved = hlo.memory_traffic(*module)
  return Program(
    seconds,
    _memory(compiled.memory_analysis()),
    cost.get('flops'),
    cost.get('bytes accessed'),
    moved,
    moved - hlo.memory_traffic(*module, padded=False),
    collectives.read(*module, SMALL),
    text,
  )


def compile_lowered(lowered: jax.stages.Lowered, options: dict[str, Any] | None = None) -> jax.stages.Compiled:
  """Compiles, also for GPUs that are not there: XLA then takes products by Triton to be the best that cannot be had."""
  try:
    return lowered.compile(options)
  except jax.errors.JaxRuntimeError as error:
    if 'output tile sizes' not in str(error):
      raise
    return lowered.compile({**(options or {}), 'xla_gpu_enable_triton_gemm': False})


def _options(level: str | None) -> dict[str, int]:
  return {'optimization_level': LEVELS[level]} if level else {}


def _what_is_short(error: str) -> str:
  """Of XLA's pages the one line that counts."""
  used = re.search(r'\(([\d.]+\w)\) exceeds available HBM \(([\d.]+\w)\)', error)
  needs = f'the step needs {used[1]} of the {used[2]} that a chip has' if used else 'the step does not fit the chips'
  return f'{needs}: give a smaller batch (--batch_per_chip), --config.accumulate=2 or --config.remat=True'


def _memory(analysis: Any) -> dict[str, int] | None:
  if analysis is None:
    return None
  names = {'arguments': 'argument', 'outputs': 'output', 'temporaries': 'temp', 'aliased': 'alias'}
  sizes = {name: getattr(analysis, f'{field}_size_in_bytes') for name, field in names.items()}
  sizes['code'] = analysis.generated_code_size_in_bytes
  return sizes | {'peak': sum(sizes.values()) - 2 * sizes['aliased']}


def _count(tree: Any) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))
