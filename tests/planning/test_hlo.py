"""Shapes and memory traffic of HLO text, written by hand and compiled."""

import jax
import jax.numpy as jnp
import pytest

from lpips_jax.planning import hlo

FUSED = """HloModule jit_f

%fused (p0: f32[1000], p1: f32[10]) -> f32[10] {
  %p0 = f32[1000]{0} parameter(0)
  %p1 = f32[10]{0} parameter(1)
  %b = f32[10,100]{1,0} bitcast(%p0)
  %s = f32[1,10]{1,0} slice(%b), slice={[2:3], [0:10]}
  %c = f32[10]{0} bitcast(%s)
  ROOT %m = f32[10]{0} multiply(%c, %p1)
}

ENTRY %main (a: f32[1000], b: f32[10]) -> f32[10] {
  %a = f32[1000]{0} parameter(0)
  %b.1 = f32[10]{0} parameter(1)
  ROOT %f = f32[10]{0} fusion(%a, %b.1), kind=kLoop, calls=%fused, metadata={op_name="jit(f)/mul"}
}
"""


def traffic(text):
  return hlo.memory_traffic(*hlo.parse(text))


@pytest.mark.parametrize(
  'shape, expected',
  [
    ('pred[3]', {'pred': 3}),
    ('s4[3]', {'s4': 2}),
    ('f8e4m3fn[2,2]{1,0}', {'f8e4m3fn': 4}),
    ('(f32[2]{0}, /*index=1*/f32[], bf16[2,3]{1,0:T(8,128)(2,1)})', {'f32': 12, 'bf16': 12}),
    ('()', {}),
  ],
)
def test_the_bytes_of_the_numbers_in_a_shape(shape, expected):
  assert hlo.shape_bytes(shape) == expected


@pytest.mark.parametrize(
  'shape, expected',
  [
    ('f32[20,64]{1,0}', 4 * 20 * 64),
    ('f32[20,64]{1,0:T(8,128)}', 4 * 24 * 128),
    ('f32[20,64]{0,1:T(8,128)}', 4 * 128 * 64),  # the first dimension lies along the lanes
    ('bf16[20,96,96,64]{3,0,2,1:T(8,128)(2,1)}', 2 * 24 * 96 * 96 * 128),
    ('f32[20,64]{1,0:T(8,128)S(1)}', 0),  # in another memory
    ('(f32[]{:T(128)}, f32[3]{0:T(128)})', 4 + 4 * 128),
  ],
)
def test_tiles_in_main_memory_count_with_their_padding(shape, expected):
  assert hlo.stored_bytes(shape) == expected


def test_padding_can_be_left_out():
  shape = '(bf16[20,96,96,64]{3,0,2,1:T(8,128)(2,1)}, f32[3]{0:T(128)S(1)})'
  assert hlo.stored_bytes(shape, padded=False) == 2 * 20 * 96 * 96 * 64


def test_a_fusion_reads_only_the_slices_that_it_takes():
  entry, computations = hlo.parse(FUSED)
  assert entry == 'main' and [one.opcode for one in computations['main']] == ['parameter', 'parameter', 'fusion']
  assert computations['main'][-1].source == 'jit(f)/mul'
  assert traffic(FUSED) == 3 * 40


def test_a_fusion_reads_all_of_what_it_needs_whole():
  assert traffic(FUSED.replace('slice(%b), slice={[2:3], [0:10]}', 'reduce(%b)')) == 4000 + 2 * 40


def test_slices_of_element_wise_results_need_only_slices_of_their_operands():
  sliced = '%n = f32[10,100]{1,0} negate(%b)\n  %s = f32[1,10]{1,0} slice(%n)'
  text = FUSED.replace('%s = f32[1,10]{1,0} slice(%b), slice={[2:3], [0:10]}', sliced)
  assert traffic(text) == 3 * 40
  assert traffic(text.replace('negate', 'reverse')) == 4000 + 2 * 40  # anything from anywhere
  assert traffic(text.replace('ROOT %m = f32[10]{0} multiply(%c, %p1)', 'ROOT %m = f32[10]{0} dot(%n, %p1)')) > 4000


def test_a_loop_moves_what_its_rounds_move():
  def f(x):
    return jax.lax.fori_loop(0, 7, lambda i, x: jnp.sin(x) @ x, x)

  x = jax.ShapeDtypeStruct((64, 64), jnp.float32)
  text = jax.jit(f).lower(x).compile().as_text()
  once = traffic(text.replace('known_trip_count', 'unknown'))
  assert 7 * 3 * x.size * 4 <= traffic(text) <= 7 * once
