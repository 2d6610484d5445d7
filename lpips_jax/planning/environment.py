"""What a process that compiles for devices that it has not must know before it imports JAX."""

import os

# That libtpu asks no metadata server, shares the machine with other compilations, and keeps quiet about having no TPU.
_ALONE = {
  'JAX_PLATFORMS': 'cpu',
  'TPU_SKIP_MDS_QUERY': '1',
  'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
  'TPU_WORKER_ID': '0',
  'TPU_WORKER_HOSTNAMES': 'localhost',
  'TPU_HOST_BOUNDS': '1,1,1',
  'TPU_CHIPS_PER_HOST_BOUNDS': '2,2,1',
  'TPU_LOG_DIR': 'disabled',
}
# That kernels for GPUs are chosen without trying them.
_UNTRIED = '--xla_gpu_autotune_level=0'


def set_apart() -> None:
  """Sets what is not set yet of the environment."""
  for name, value in _ALONE.items():
    os.environ.setdefault(name, value)
  os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {_UNTRIED}'.strip()
