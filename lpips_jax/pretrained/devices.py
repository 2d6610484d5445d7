"""Data parallelism for inference: the variables on every device of this process, batches divided among them."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lpips_jax.pretrained.network import Pretrained

Network = TypeVar('Network', bound=Callable[..., Any] | None)


def on_all_devices(network: Network) -> Network:
  """Returns the same network with its variables copied to every device of this process.

  Exported programs and other functions, which have no variables to copy, are returned as they are.
  """
  if not isinstance(network, Pretrained) or jax.local_device_count() == 1:
    return network
  everywhere = NamedSharding(Mesh(np.array(jax.local_devices()), ('data',)), PartitionSpec())
  variables, silent = jax.device_put(network.variables, everywhere), on_all_devices(network.silent)
  # A copy has its original's type, which `replace` cannot say of a type variable.
  return cast(Network, dataclasses.replace(network, variables=variables, silent=silent))


def batch_sharding(network: Callable[..., Any]) -> NamedSharding | None:
  """Returns the sharding that divides a batch among a network's devices; None for a network on one device."""
  if not isinstance(network, Pretrained):
    return None
  sharding = jax.tree.leaves(network.variables)[0].sharding
  return NamedSharding(sharding.mesh, PartitionSpec('data')) if len(sharding.device_set) > 1 else None
