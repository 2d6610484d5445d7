"""Data sheets of accelerators, against which plans and logs compare what a run uses."""

from typing import NamedTuple


class Chip(NamedTuple):
  """The data sheet of one device, as JAX counts devices.

  Attributes:
    name: its short name.
    flops: dense operations a second in bfloat16, or float16 where there is no bfloat16.
    memory: bytes of its main memory.
    bandwidth: of that memory, bytes a second.
    link: bandwidth to other chips, all links together, one way, bytes a second; 0 if there are none.
  """

  name: str
  flops: float
  memory: float
  bandwidth: float
  link: float = 0.0


# By the whole `device_kind`: an L40S is no L4. TPUs: cloud.google.com/tpu/docs/system-architecture. NVIDIA: data
# sheets, without sparsity; links are NVLink where boards have switches, and PCI Express cards count as having none.
CHIPS = {
  'TPU v6 lite': Chip('v6e', 918e12, 32e9, 1640e9, 448e9),
  'TPU v5 lite': Chip('v5e', 197e12, 16e9, 819e9, 200e9),
  'TPU v5': Chip('v5p', 459e12, 95e9, 2765e9, 600e9),
  'TPU v4': Chip('v4', 275e12, 32e9, 1228e9, 300e9),
  'NVIDIA B200': Chip('B200', 2250e12, 180e9, 8000e9, 900e9),
  'NVIDIA H200': Chip('H200', 989e12, 141e9, 4800e9, 450e9),
  'NVIDIA H100 80GB HBM3': Chip('H100', 989e12, 80e9, 3350e9, 450e9),
  'NVIDIA H100 PCIe': Chip('H100 PCIe', 756e12, 80e9, 2000e9),
  'NVIDIA A100-SXM4-80GB': Chip('A100 80GB', 312e12, 80e9, 2039e9, 300e9),
  'NVIDIA A100-SXM4-40GB': Chip('A100 40GB', 312e12, 40e9, 1555e9, 300e9),
  'NVIDIA A100 80GB PCIe': Chip('A100 80GB PCIe', 312e12, 80e9, 1935e9),
  'NVIDIA A100-PCIE-40GB': Chip('A100 40GB PCIe', 312e12, 40e9, 1555e9),
  'NVIDIA L40S': Chip('L40S', 362e12, 48e9, 864e9),
  'NVIDIA L40': Chip('L40', 181e12, 48e9, 864e9),
  'NVIDIA L4': Chip('L4', 121e12, 24e9, 300e9),
  'NVIDIA GeForce RTX 4090': Chip('RTX 4090', 165e12, 24e9, 1008e9),
  'Tesla V100-SXM2-32GB': Chip('V100 32GB', 125e12, 32e9, 900e9, 150e9),
  'Tesla V100-SXM2-16GB': Chip('V100 16GB', 125e12, 16e9, 900e9, 150e9),
  'Tesla T4': Chip('T4', 65e12, 16e9, 320e9),
}


def chip(device_kind: str) -> Chip | None:
  """Returns the data sheet for a `jax.Device.device_kind`; None for CPUs and for devices that are not listed."""
  return CHIPS.get(device_kind)
