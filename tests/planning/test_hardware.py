"""A device has its own data sheet, or none."""

import pytest

from lpips_jax.planning.hardware import chip


@pytest.mark.parametrize(
  ('kind', 'flops', 'memory'),
  [
    ('TPU v5 lite', 197e12, 16e9),
    ('TPU v5', 459e12, 95e9),
    ('NVIDIA H100 80GB HBM3', 989e12, 80e9),
    ('NVIDIA H100 PCIe', 756e12, 80e9),
    ('NVIDIA A100-SXM4-40GB', 312e12, 40e9),
    ('NVIDIA A100-SXM4-80GB', 312e12, 80e9),
    ('NVIDIA L4', 121e12, 24e9),
    ('NVIDIA L40', 181e12, 48e9),
    ('NVIDIA L40S', 362e12, 48e9),
  ],
)
def test_names_that_begin_alike_are_distinguished(kind, flops, memory):
  assert (chip(kind).flops, chip(kind).memory) == (flops, memory)


@pytest.mark.parametrize(
  'kind', ['cpu', 'NVIDIA GeForce RTX 4090 D', 'NVIDIA H100 NVL', 'NVIDIA A100-SXM4-40GB MIG 1g.5gb', 'TPU v4 lite']
)
def test_other_devices_have_no_data_sheet(kind):
  assert chip(kind) is None
