"""The train step as a program for devices that need not be there: its shapes, parameters and arithmetic."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.planning import programs
from lpips_jax.planning.programs import Program
from lpips_jax.training import sharding, tasks


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
    config: has passed `validation.check_config`; its batch divides among the devices.
    mesh: from `topologies.mesh_of`.
    level: how much the compiler does, 'O0' to 'O3'; None leaves it to the compiler, as training does.

  Raises:
    OutOfMemory: it does not fit.
  """
  task, shapes = arguments(config)
  step, _ = sharding.jitted(task, mesh)
  return programs.compile_program(step.lower(*shapes), level)


def _count(tree: Any) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))
