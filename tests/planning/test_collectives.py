"""The collectives of a program, from HLO text written by hand and from programs for the two devices of every test."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from lpips_jax.planning import collectives, hlo, topologies
from lpips_jax.planning.collectives import Collective

SUM = """HloModule jit_step, is_scheduled=true

%sum (x: f32[], y: f32[]) -> f32[] {
  %x = f32[]{:T(128)} parameter(0)
  %y = f32[]{:T(128)} parameter(1)
  ROOT %z = f32[]{:T(128)} add(%x, %y)
}

"""


def read(text, small=None):
  return collectives.read(*hlo.parse(text), small)


def module(*lines, before=''):
  body = '\n'.join(f'  {line}' for line in lines)
  return f'{SUM}{before}ENTRY %main.1_spmd (a: f32[8]) -> f32[8] {{\n  %a = f32[8]{{0}} parameter(0)\n{body}\n}}\n'


def test_a_synchronous_all_reduce_is_found_with_its_source():
  text = module(
    'ROOT %r = f32[8]{0:T(128)S(1)} all-reduce(%a), channel_id=1, replica_groups={{0,1}}, to_apply=%sum, '
    'metadata={op_name="jit(step)/norm/reduce_sum" stack_frame_id=3}'
  )
  traffic = read(text)
  assert traffic.collectives == [Collective('all-reduce', {'f32': 32}, 1, 'jit(step)/norm/reduce_sum')]
  assert traffic.chain == 1 and not traffic.unknown_loops


def test_a_start_and_its_done_are_one():
  text = module(
    '%s = f32[8]{0} all-reduce-start(%a), channel_id=1, to_apply=%sum',
    '%other = f32[8]{0} multiply(%a, %a)',
    '%d = f32[8]{0} all-reduce-done(%s)',
    '%g = (f32[8]{0}, f32[16]{0}) all-gather-start(%d), dimensions={0}',
    '%h = f32[16]{0} all-gather-done(%g)',
    '%c = (f32[16]{0}, f32[16]{0}, u32[], u32[]) collective-permute-start(%h), source_target_pairs={{0,1}}',
    'ROOT %p = f32[16]{0} collective-permute-done(%c)',
  )
  traffic = read(text)
  expected = {'all-reduce': (1, 32), 'all-gather': (1, 64), 'collective-permute': (1, 64)}
  assert collectives.totals(traffic.collectives) == expected
  assert traffic.chain == 3


def test_a_tuple_is_one_collective_with_all_its_arrays_and_dtypes():
  text = module(
    '%b = bf16[8]{0} convert(%a)',
    'ROOT %r = (bf16[8]{0:T(1024)(128)(2,1)}, /*index=1*/f32[2,3]{1,0}, f32[]) all-reduce(%b, %a, %a), to_apply=%sum',
  )
  (one,) = read(text).collectives
  assert one.bytes == {'bf16': 16, 'f32': 24 + 4} and one.size == 44
  assert collectives.bytes_by_dtype([one, one]) == {'bf16': 32, 'f32': 56}


def test_a_wrapped_collective_counts_once():
  wrapped = (
    '%wrapped (p: f32[8]) -> f32[8] {\n  %p = f32[8]{0} parameter(0)\n'
    '  ROOT %inner = f32[8]{0} all-to-all(%p), dimensions={0}\n}\n\n'
  )
  text = module(
    '%s = ((f32[8]{0}), f32[8]{0}) async-start(%a), calls=%wrapped',
    '%u = ((f32[8]{0}), f32[8]{0}) async-update(%s), calls=%wrapped',
    'ROOT %d = f32[8]{0} async-done(%u), calls=%wrapped',
    before=wrapped,
  )
  assert collectives.totals(read(text).collectives) == {'all-to-all': (1, 32)}


@pytest.mark.parametrize('known', [True, False])
def test_a_loop_counts_its_rounds_if_they_are_known(known):
  body = (
    '%body (p: f32[8]) -> f32[8] {\n  %p = f32[8]{0} parameter(0)\n'
    '  ROOT %r = f32[8]{0} all-reduce(%p), to_apply=%sum\n}\n\n'
    '%condition (q: f32[8]) -> pred[] {\n  ROOT %q = pred[] constant(true)\n}\n\n'
  )
  rounds = ', backend_config={"known_trip_count":{"n":"4"}}' if known else ''
  text = module(f'ROOT %w = f32[8]{{0}} while(%a), condition=%condition, body=%body{rounds}', before=body)
  traffic = read(text)
  assert collectives.totals(traffic.collectives) == ({'all-reduce': (4, 128)} if known else {'all-reduce': (1, 32)})
  assert traffic.chain == (4 if known else 1) and traffic.unknown_loops != known


def test_the_chain_counts_small_collectives_that_wait_for_each_other():
  text = module(
    '%r1 = f32[8]{0} all-reduce(%a), to_apply=%sum',
    '%r2 = f32[8]{0} all-reduce(%a), to_apply=%sum',
    '%r3 = f32[8]{0} all-reduce(%r2), to_apply=%sum',
    '%large = f32[1000]{0} all-reduce(%r3), to_apply=%sum',
    'ROOT %end = (f32[8]{0}, f32[1000]{0}) tuple(%r1, %large)',
  )
  assert read(text).chain == 3
  assert read(text, small=4000).chain == 2


def test_a_compiled_program_exchanges_what_its_shardings_ask_for():
  mesh = topologies.mesh_of('local')
  assert mesh.devices.size == 2
  rows = NamedSharding(mesh, PartitionSpec('data'))
  columns = NamedSharding(mesh, PartitionSpec(None, 'data'))
  x = jax.ShapeDtypeStruct((4, 6), jnp.float32)
  total = jax.jit(lambda x: x.sum(0), in_shardings=rows, out_shardings=NamedSharding(mesh, PartitionSpec()))
  assert collectives.totals(read(total.lower(x).compile().as_text()).collectives) == {'all-reduce': (1, 24)}
  turned = jax.jit(lambda x: x, in_shardings=rows, out_shardings=columns)
  assert list(collectives.totals(read(turned.lower(x).compile().as_text()).collectives)) == ['all-to-all']
