"""Estimates from a compiled step: the least time, the largest batch that fits, and the table that shows them."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from lpips_jax.planning import estimates, programs, topologies
from lpips_jax.planning.hardware import Chip

CONFIG = ConfigDict(
  {'task': 'generator', 'accumulate': 1, 'remat': False, 'model': {'dtype': 'float32'}, 'data': {'batch_size': 2}}
)


@pytest.fixture(scope='module')
def mesh():
  return topologies.mesh_of('local')


@pytest.fixture(scope='module')
def step(mesh):
  """Estimates from a product whose rows lie on two devices, and a sum over both of them."""
  rows, everywhere = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (('data',), ()))
  product = jax.jit(lambda x, y: (x @ y).sum(0), in_shardings=(rows, everywhere), out_shardings=everywhere)
  x, y = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((4, 8), (8, 6)))
  program = programs.compile_program(product.lower(x, y))
  made = estimates.estimate_step(CONFIG, mesh, program, {'generator': 48, 'trained': 48}, 1000.0)
  return made | {'topology': 'local', 'level': 'default'}


def test_a_small_program_is_described(step):
  assert step['chips'] == 2 and step['batch_per_chip'] == 1 and step['task'] == 'generator'
  assert (step['all_reduces'], step['all_reduce_bytes'], step['serial_small_collectives']) == (1, 24, 1)
  assert step['small_all_reduces'] == {'number': 1, 'bytes': 24, 'bytes_by_dtype': {'f32': 24}}
  assert step['large_all_reduces']['number'] == 0
  assert step['flops_per_chip'] >= 2 * 2 * 8 * 6 and step['memory_traffic_per_chip'] >= 4 * (2 * 8 + 8 * 6)
  assert step['peak_bytes_per_chip'] == step['memory_per_chip']['peak'] > 0
  assert step['floor'] is None and step['chip_memory_bytes'] is None  # no data sheet of a CPU


def test_sums_in_which_loops_count_once_are_withheld(mesh, step):
  config = ConfigDict(CONFIG.to_dict() | {'accumulate': 2})
  program = programs.Program(0, None, 1, 1, 1, 0, programs.Traffic([], 0, False), '')
  looped = estimates.estimate_step(config, mesh, program, {}, 1000.0)
  assert looped['flops_per_chip'] is None and looped['bytes_accessed_per_chip'] is None
  table = estimates.table(looped | {'topology': 'local', 'level': 'default'})
  assert 'only one round of the loop' in table and 'in 2 parts' in table and 'not reported by the compiler' in table


def test_the_data_sheet_bounds_the_time(step):
  chip = Chip('toy', flops=1e9, memory=1e9, bandwidth=1e9, link=1e6)
  large = {'collectives': {'all-reduce': {'bytes': 3_000_000}}, 'serial_small_collectives': 100, 'chips': 4}
  floor = estimates.least_time(step | large, chip)
  assert floor['arithmetic'] == step['flops_per_chip'] / 1e9
  assert floor['memory'] == step['memory_traffic_per_chip'] / 1e9
  assert floor['link'] == pytest.approx(2 * 3 / 4 * 3.0)
  assert floor['latency'] == pytest.approx(100 * estimates.COLLECTIVE_LATENCY)
  assert floor['binds'] == 'link' and floor['overlapped'] == pytest.approx(4.5 + 100 * estimates.COLLECTIVE_LATENCY)
  assert floor['in_turn'] == pytest.approx(sum(floor[name] for name in ('arithmetic', 'memory', 'link', 'latency')))
  of_the_step = estimates.least_time(step | {'flops_per_chip': None, 'flops_per_step': 3e9}, chip)
  assert of_the_step['arithmetic'] == 1.5  # of two chips


def test_the_table_has_a_line_for_each_estimate(step):
  table = estimates.table(step)
  assert 'not known: no data sheet of cpu' in table and 'local: 2 x cpu' in table
  assert '1 (less than 1.05 MB each: statistics, losses): 24 B f32' in table
  floor = {'arithmetic': 0.002, 'memory': 0.003, 'link': None, 'latency': 0.0}
  floor |= {'overlapped': 0.003, 'in_turn': 0.005, 'binds': 'memory'}
  found = {'largest_batch': 8, 'largest_batch_per_chip': 4, 'largest_batch_from': {1: 10**9, 2: 2 * 10**9}}
  found |= {'largest_batch_fits': True, 'largest_batch_peak_bytes': 4 * 10**9}
  known = step | found | {'chip_memory_bytes': 4e9, 'peak_bytes_per_chip': 10**9, 'floor': floor}
  known |= estimates.cost(known, steps=600)
  table = estimates.table(known)
  assert 'about 8, 4 a chip: on a line through 1 a chip (1.00 GB) and 2 a chip (2.00 GB)' in table
  assert '0.001 chip-hours: 600 steps of 3.00 ms on 2 chips' in table and 'as measured' not in table
  assert 'fits (4.00 GB)' in table and '4.00 GB; the peak is 25% of it' in table
  assert '3.00 ms if everything overlaps, 5.00 ms if nothing does; memory binds' in table


def test_the_cost_is_that_of_all_steps_on_all_chips(step):
  floor = {'overlapped': 0.02, 'in_turn': 0.05}
  found = estimates.cost(step | {'floor': floor, 'chips': 16}, steps=90_000, seconds_per_step=0.05)
  assert found['least_chip_hours'] == pytest.approx(8.0)  # 90,000 steps of 20 ms are half an hour
  assert found['chip_hours'] == pytest.approx(20.0)
  shown = estimates.table(step | found | {'chips': 16, 'floor': None} | {'least_chip_hours': None})
  assert 'cost, as measured' in shown and '20.0 chip-hours: 90,000 steps of 50.00 ms on 16 chips' in shown
  unknown = estimates.cost(step, steps=90_000)
  assert unknown['least_chip_hours'] is None and unknown['chip_hours'] is None
  assert 'measure a step, and give --seconds_per_step' in estimates.table(step | unknown)


def test_the_largest_batch_lies_on_a_line_through_two_peaks(mesh, monkeypatch):
  tried = []

  def compiled(per_chip):
    tried.append(per_chip)
    if per_chip > limit:
      raise programs.OutOfMemory('too much')
    return programs.Program(0, {'peak': 200 + 100 * per_chip}, 1, 1, 1, 0, None, '')

  chip = Chip('toy', flops=1, memory=1000, bandwidth=1)
  monkeypatch.setattr(estimates.hardware, 'chip', lambda kind: chip)
  limit = 8
  found = estimates.largest_batch(CONFIG, mesh, compiled(1), compiled, verify=True)
  assert found == {
    'largest_batch': 16,
    'largest_batch_per_chip': 8,
    'largest_batch_from': {1: 300, 2: 400},
    'largest_batch_fits': True,
    'largest_batch_peak_bytes': 1000,
  }
  limit = 6
  found = estimates.largest_batch(CONFIG, mesh, compiled(1), compiled, verify=True)
  assert found['largest_batch_per_chip'] == 8 and not found['largest_batch_fits']
  limit = 1
  found = estimates.largest_batch(CONFIG, mesh, compiled(1), compiled, verify=False)
  assert found['largest_batch_per_chip'] == 1 and found['largest_batch_from'] == {1: 300}
  assert tried == [1, 2, 8, 1, 2, 8, 1, 2]


def test_without_a_data_sheet_no_batch_is_the_largest(mesh):
  program = programs.Program(0, {'peak': 300}, 1, 1, 1, 0, None, '')
  found = estimates.largest_batch(CONFIG, mesh, program, lambda per_chip: program, verify=True)
  assert found == {'largest_batch': None, 'largest_batch_per_chip': None}
