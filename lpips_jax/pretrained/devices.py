"""Networks on all devices of this process: variables on each, batches divided among them."""

import dataclasses
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lpips_jax.pretrained.checkpoint import Pretrained


def on_all_devices(network: Any) -> Any:
  """The same network with its variables on every device of this process; exported programs stay where they are."""
  if not isinstance(network, Pretrained) or jax.local_device_count() == 1:
    return network
  everywhere = NamedSharding(Mesh(np.array(jax.local_devices()), ('data',)), PartitionSpec())
  variables, silent = jax.device_put(network.variables, everywhere), on_all_devices(network.silent)
  return dataclasses.replace(network, variables=variables, silent=silent)


def along_batch(network: Any) -> NamedSharding | None:
  """How to divide a batch for a network that lies on several devices; None for one that does not."""
  if not isinstance(network, Pretrained):
    return None
  where = jax.tree.leaves(network.variables)[0].sharding
  return NamedSharding(where.mesh, PartitionSpec('data')) if len(where.device_set) > 1 else None
