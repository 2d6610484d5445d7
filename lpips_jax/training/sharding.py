"""Data parallelism on a mesh of one axis: the batch is split over all devices of all hosts, all else is copied."""

import math
from typing import TypeVar

import jax
import numpy as np
from absl import logging
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.stages import Wrapped

from lpips_jax.core.errors import UserError
from lpips_jax.training.step import Task

Tree = TypeVar('Tree')  # of arrays


def make_mesh(batch_size: int, parts: int = 1) -> Mesh:
  """Devices along the axis 'data': all of them; in a single process the most that divide both them and the batch.

  Args:
    batch_size: clips of a step.
    parts: micro-batches of a step, each on all devices.

  Raises:
    UserError: there are several processes, and the batch does not divide among all their devices.
  """
  devices = jax.devices()
  used = math.gcd(batch_size // parts, len(devices))
  if used < len(devices):
    in_parts = f' in {parts} parts' if parts > 1 else ''
    problem = f'config.data.batch_size={batch_size}{in_parts} does not divide among {len(devices)} devices'
    if jax.process_count() > 1:
      raise UserError(f'{problem}: make it a multiple')
    logging.warning('%s: training on %d of them', problem, used)
  return jax.make_mesh((used,), ('data',), axis_types=(AxisType.Auto,), devices=devices[:used])


def replicated(mesh: Mesh) -> NamedSharding:
  return NamedSharding(mesh, PartitionSpec())


def along_batch(mesh: Mesh) -> NamedSharding:
  return NamedSharding(mesh, PartitionSpec('data'))


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
  """Makes global arrays of this process's share of a batch, whose first axis is examples; does not wait for them."""
  return {name: jax.make_array_from_process_local_data(along_batch(mesh), x) for name, x in batch.items()}


def put_replicated(tree: Tree, mesh: Mesh) -> Tree:
  """Puts a copy of every leaf, the same in all processes, on every device."""
  if jax.process_count() > 1:
    tree = jax.tree.map(np.asarray, tree)  # an array on a device of this process cannot be put on those of others
  return jax.device_put(tree, replicated(mesh))


def jitted(task: Task, mesh: Mesh) -> tuple[Wrapped, Wrapped]:
  """Compiles a task's step and evaluation, when first called, to one program over all devices of the mesh.

  State, frozen variables and results have a copy on each of them; the state's memory is used again.
  """
  copies, shares = replicated(mesh), along_batch(mesh)
  step = jax.jit(task.step, in_shardings=(copies, shares, copies), out_shardings=copies, donate_argnums=0)
  return step, jax.jit(task.evaluate, in_shardings=(copies, shares, copies), out_shardings=copies)
