"""One mesh, one axis: the batch is split over all devices of all hosts, everything else is on each of them."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def make_mesh() -> Mesh:
  """All devices along the axis 'data'."""
  return jax.make_mesh((jax.device_count(),), ('data',), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
  return NamedSharding(mesh, PartitionSpec())


def along_batch(mesh: Mesh) -> NamedSharding:
  return NamedSharding(mesh, PartitionSpec('data'))


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
  """Makes global arrays of this process's share of a batch (leading dimension: examples)."""
  return {name: jax.make_array_from_process_local_data(along_batch(mesh), x) for name, x in batch.items()}


def put_replicated(tree: Any, mesh: Mesh) -> Any:
  """Puts a copy of every leaf on every device."""
  return jax.device_put(tree, replicated(mesh))
