"""The environment of a process that compiles for devices it does not have: to be set before JAX is imported."""

import os

# libtpu then asks no metadata server, shares the machine with other compilations, and does not log that it has no TPU.
_WITHOUT_TPU = {
  'JAX_PLATFORMS': 'cpu',
  'TPU_SKIP_MDS_QUERY': '1',
  'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
  'TPU_WORKER_ID': '0',
  'TPU_WORKER_HOSTNAMES': 'localhost',
  'TPU_HOST_BOUNDS': '1,1,1',
  'TPU_CHIPS_PER_HOST_BOUNDS': '2,2,1',
  'TPU_LOG_DIR': 'disabled',
}
_WITHOUT_AUTOTUNING = '--xla_gpu_autotune_level=0'  # kernels for GPUs are then chosen without being timed on one


def set_for_absent_devices() -> None:
  """Sets the environment variables that compiling for absent devices needs; keeps those that are set already."""
  for name, value in _WITHOUT_TPU.items():
    os.environ.setdefault(name, value)
  os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {_WITHOUT_AUTOTUNING}'.strip()
