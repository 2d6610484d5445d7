"""The train step as a program for devices that need not be there: its shapes, parameters and arithmetic."""

import math
from typing import Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from lpips_jax.planning import programs
from lpips_jax.planning.programs import Program
from lpips_jax.training import sharding
from lpips_jax.training.frozen import Frozen, frozen_shapes
from lpips_jax.training.state import TrainState
from lpips_jax.training.step import Shapes, Task
from lpips_jax.training.tasks import batch_shapes, make_task

Arguments = tuple[TrainState, Shapes, dict[str, Any]]  # shapes of a step's state, batch and frozen variables


def arguments(config: ConfigDict, frozen: Frozen | None = None) -> tuple[Task, Arguments]:
  """Returns the task that a config asks for, and the shapes of state, batch and frozen variables that its step takes.

  Args:
    config: has passed `validation.check_config`.
    frozen: from `frozen.load_frozen` or `frozen.frozen_shapes`; the latter, if None.

  Raises:
    UserError: the config names an expert that is not there.
  """
  config = ConfigDict(config.to_dict())
  if config.task == 'generator':
    config.audio_encoder_from_expert = False  # the same shapes, without the values
  frozen = frozen or frozen_shapes(config)
  task = make_task(config, frozen)
  variables = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), frozen.variables)
  return task, (jax.eval_shape(task.init), batch_shapes(config), variables)


def frames_of_batch(config: ConfigDict) -> int:
  """Returns the number of video frames that the network in training sees in a batch of all devices."""
  shapes = batch_shapes(config)
  return math.prod((shapes.get('target') or shapes['frames']).shape[:-3])


def clips_of_batch(config: ConfigDict) -> int:
  """Returns the number of parts that a batch can be split into: its examples or, where it has whole clips, these."""
  return min(shape.shape[0] for shape in batch_shapes(config).values())


def parameters(config: ConfigDict) -> dict[str, int]:
  """Returns the number of parameters of each network of a step, by its name, and of those `trained`, together."""
  _, (state, _, variables) = arguments(config)
  counts = {config.task: _count(state.variables['params'])}
  if state.adversary:
    counts['discriminator'] = _count(state.adversary.params)
  trained = sum(counts.values())
  for name, of_network in variables.items():
    if of_network:
      counts[f'frozen {name}'] = _count(of_network.get('params', of_network))
  return counts | {'trained': trained}


def count_flops(config: ConfigDict, frozen: Frozen | None = None) -> float | None:
  """Returns the floating-point operations of a step, on all devices together; None in a process without CPU devices.

  Each counts once, although `remat` makes some twice; all micro-batches of an accumulated batch count. Arguments as for
  `arguments`.
  """
  config = ConfigDict(config.to_dict())
  config.update(accumulate=1, remat=False)
  task, shapes = arguments(config, frozen)
  try:
    cpu = jax.local_devices(backend='cpu')[0]  # GPUs and TPUs count nothing before they have compiled it
  except RuntimeError:
    return None
  with jax.default_device(cpu):
    counted = jax.jit(task.step).lower(*shapes).cost_analysis()
  return counted['flops'] if counted else None


def compile_step(config: ConfigDict, mesh: Mesh, level: str | None = None) -> Program:
  """Compiles the step that `train.py` runs for the devices of a mesh, which need not be there.

  Args:
    config: has passed `validation.check_config`; its batch divides among the devices.
    mesh: from `topologies.mesh_of`.
    level: how much the compiler optimises, 'O0' to 'O3'; None leaves it to the compiler, as training does.

  Raises:
    OutOfMemory: it does not fit.
  """
  task, shapes = arguments(config)
  step, _ = sharding.jitted(task, mesh)
  return programs.compile_program(step.lower(*shapes), level)


def _count(tree: Any) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))
