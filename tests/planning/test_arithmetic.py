"""The operations of instructions, from HLO text written by hand."""

import pytest

from lpips_jax.planning import arithmetic, hlo

IMAGES, KERNEL, FEATURES = 'f32[2,9,9,3]', 'f32[3,3,3,5]', 'f32[2,9,9,5]'
SAME = 'window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f'
TAPS = 25 * 25  # of 9 outputs in a row, 7 meet three pixels and 2 meet two


def operations(line, **shapes):
  """The operations of an instruction whose operands have these names and shapes."""
  given = [f'  %{name} = {shape} parameter({n})' for n, (name, shape) in enumerate(shapes.items())]
  entry, computations = hlo.parse('\n'.join(['ENTRY %main () -> f32[] {', *given, f'  ROOT %x = {line}', '}']))
  shapes = arithmetic.shapes_of(computations[entry])
  return arithmetic.flops(computations[entry][-1], shapes, computations)


def test_a_matrix_product_counts_every_multiplication_and_addition():
  line = 'f32[7,4,16]{2,1,0} dot(%a, %b), lhs_batch_dims={0}, lhs_contracting_dims={2}, rhs_batch_dims={0}'
  assert operations(line, a='f32[7,4,8]{2,1,0}', b='f32[7,8,16]{2,1,0}') == 2 * 7 * 4 * 8 * 16


def test_convolutions_do_not_count_padding():
  line = f'{FEATURES} convolution(%a, %k), {SAME}'
  assert operations(line, a=IMAGES, k=KERNEL) == 2 * 2 * TAPS * 3 * 5


def test_strides_and_groups_divide_the_operations():
  line = 'f32[1,4,4,6] convolution(%a, %k), window={size=2x2 stride=2x2}, dim_labels=b01f_01io->b01f'
  grouped = f'{line}, feature_group_count=2'
  assert operations(line, a='f32[1,8,8,4]', k='f32[2,2,4,6]') == 2 * 8 * 8 * 4 * 6
  assert operations(grouped, a='f32[1,8,8,4]', k='f32[2,2,2,6]') == 2 * 8 * 8 * 2 * 6


def test_dilations_do_not_count_their_zeros():
  """The gradients of a convolution of stride 2, from 8 pixels to 4, with 2 taps: as many operations as itself."""
  once = 2 * 3 * 8 * 4 * 6
  of_images = 'window={size=2 pad=1_1 lhs_dilate=2}, dim_labels=b0f_0oi->b0f'
  assert operations(f'f32[3,8,4] convolution(%a, %k), {of_images}', a='f32[3,4,6]', k='f32[2,4,6]') == once
  of_kernel = 'window={size=4 rhs_dilate=2}, dim_labels=f0b_i0o->0bf'
  assert operations(f'f32[2,4,6] convolution(%a, %k), {of_kernel}', a='f32[3,8,4]', k='f32[3,4,6]') == once


@pytest.mark.parametrize(
  'target, result, first, second',
  [
    ('Forward', FEATURES, IMAGES, KERNEL),
    ('BiasActivationForward', FEATURES, IMAGES, KERNEL),
    ('BackwardInput', IMAGES, FEATURES, KERNEL),
    ('BackwardFilter', KERNEL, IMAGES, FEATURES),
  ],
)
def test_calls_of_cudnn_count_as_convolutions(target, result, first, second):
  line = f'({result}, u8[0]) custom-call(%a, %b), {SAME}, custom_call_target="__cudnn$conv{target}"'
  assert operations(line, a=first, b=second) == 2 * 2 * TAPS * 3 * 5


def test_calls_of_cublas_count_as_products():
  numbers = '{"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["0"]}}}'
  line = f'(f32[4,16], s8[99]) custom-call(%a, %b), custom_call_target="__cublas$gemm", backend_config={numbers}'
  assert operations(line, a='f32[8,4]', b='f32[8,16]') == 2 * 4 * 8 * 16
  assert operations('f32[4] custom-call(%a), custom_call_target="other"', a='f32[8,4]') == 0


def test_real_transforms_count_half():
  line = 'c64[3,16,9] fft(%a), fft_type=RFFT, fft_length={16,16}'
  assert operations(line, a='f32[3,16,16]') == 2.5 * 3 * 256 * 8
