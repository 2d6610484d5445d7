"""Devices to compile for, present or not: TPUs through libtpu, NVIDIA's GPUs through JAX's CUDA plugin."""

import importlib.util
import re
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from lpips_jax.core.errors import UserError
from lpips_jax.planning import hardware

GPU_KINDS = {'h100': 'NVIDIA H100 80GB HBM3', 'h200': 'NVIDIA H200'}
# The description of a GPU that XLA needs. Limits: compute capability 9.0 in the CUDA C++ programming guide; the rest:
# the data sheet. The versions of CUDA's libraries are those that jax 0.10 requires, or later ones.
_HOPPER = """
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  thread_dim_limit_x: 1024
  thread_dim_limit_y: 1024
  thread_dim_limit_z: 64
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  l2_cache_size: 52428800
  memory_bandwidth: %d
  device_memory_size: %d
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
device_description_str: "%s"
"""


def mesh_of(topology: str) -> Mesh:
  """Returns a mesh of devices along the axis 'data'.

  Args:
    topology: 'local' for all devices of this machine; a TPU's generation and grid of chips, such as 'v5e:4x4'; or a
      kind and number of GPUs in one machine, 'h100:8' or 'h200:1'. Except for 'local', the process must have called
      `environment.set_for_absent_devices` before it imported JAX.

  Raises:
    UserError: there is no such topology, or its compiler is not installed.
  """
  return Mesh(np.array(_devices(topology)), ('data',), axis_types=(AxisType.Auto,))


def _devices(topology: str) -> list[Any]:
  if topology == 'local':
    return jax.local_devices()
  generation, _, grid = topology.partition(':')
  if generation in GPU_KINDS and re.fullmatch(r'[1-9]\d*', grid):
    return _gpus(generation, int(grid))
  if re.fullmatch(r'v\d+\w*', generation) and re.fullmatch(r'\d+(x\d+)+', grid):
    return _tpus(topology)
  raise UserError(
    f"topology={topology}: give local, a TPU's generation and grid of chips, such as v5e:4x4, or h100 or h200 and a "
    'number of GPUs, such as h200:1',
    'topology',
  )


def _tpus(topology: str) -> list[Any]:
  if importlib.util.find_spec('libtpu') is None:
    raise UserError(f"topology={topology} needs libtpu, the compiler for TPUs: pip install -e '.[tpu]'", 'topology')
  return _describe(topology, platform='tpu', topology_name=topology)


def _gpus(generation: str, number: int) -> list[Any]:
  topology = f'{generation}:{number}'
  if not any(importlib.util.find_spec(f'jax_cuda{version}_plugin') for version in (12, 13)):
    raise UserError(f"topology={topology} needs JAX's plugin for CUDA: pip install -e '.[cuda]'", 'topology')
  kind = GPU_KINDS[generation]
  chip = hardware.CHIPS[kind]
  target = _HOPPER % (chip.bandwidth, chip.memory, kind)
  return _describe(topology, platform='cuda', topology_name='', target_config=target, topology=f'1x1x{number}')


def _describe(name: str, **options: str) -> list[Any]:
  from jax.experimental import topologies

  try:
    return topologies.get_topology_desc(**options).devices
  except jax.errors.JaxRuntimeError as error:
    problem = str(error).partition(': ')[2] or error
    raise UserError(f'topology={name}: {problem}', 'topology') from error
