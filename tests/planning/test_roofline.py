"""Operations of HLO text, written by hand and compiled; the groups of a program, and its least time."""

import jax
import jax.numpy as jnp
import pytest

from lpips_jax.planning import arithmetic, hlo, roofline
from lpips_jax.planning.roofline import Peak

TEXT = """HloModule jit_f

%fused (p0: f32[4,8], p1: f32[8,16]) -> f32[4,16] {
  %p0 = f32[4,8]{1,0} parameter(0)
  %p1 = f32[8,16]{1,0} parameter(1)
  ROOT %d = f32[4,16]{1,0} dot(%p0, %p1), lhs_contracting_dims={1}, rhs_contracting_dims={0}, metadata={op_name="D"}
}

ENTRY %main (a: f32[4,8], b: f32[8,16]) -> f32[4,16] {
  %a = f32[4,8]{1,0} parameter(0)
  %b = f32[8,16]{1,0} parameter(1)
  %f = f32[4,16]{1,0} fusion(%a, %b), kind=kOutput, calls=%fused, metadata={op_name="jit(f)/Generator/stem/norm/add"}
  %c = f32[4,16]{0,1} copy(%f)
  ROOT %n = f32[4,16]{1,0} negate(%c), metadata={op_name="jit(f)/Generator/audio_encoder/down_1/norm/neg"}
}
"""
IMAGES, KERNEL, FEATURES = 'f32[2,9,9,3]', 'f32[3,3,3,5]', 'f32[2,9,9,5]'
SAME = 'window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f'
TAPS = 25 * 25  # of 9 outputs in a row, 7 meet three pixels and 2 meet two


def operations(line, **shapes):
  """Of one instruction, which takes those of these names and shapes."""
  given = [f'  %{name} = {shape} parameter({n})' for n, (name, shape) in enumerate(shapes.items())]
  entry, computations = hlo.parse('\n'.join(['ENTRY %main () -> f32[] {', *given, f'  ROOT %x = {line}', '}']))
  shapes = arithmetic.shapes_of(computations[entry])
  return arithmetic.flops(computations[entry][-1], shapes, computations)


def test_products():
  line = 'f32[7,4,16]{2,1,0} dot(%a, %b), lhs_batch_dims={0}, lhs_contracting_dims={2}, rhs_batch_dims={0}'
  assert operations(line, a='f32[7,4,8]{2,1,0}', b='f32[7,8,16]{2,1,0}') == 2 * 7 * 4 * 8 * 16


def test_convolutions_leave_out_padding():
  line = f'{FEATURES} convolution(%a, %k), {SAME}'
  assert operations(line, a=IMAGES, k=KERNEL) == 2 * 2 * TAPS * 3 * 5


def test_strides_and_groups():
  line = 'f32[1,4,4,6] convolution(%a, %k), window={size=2x2 stride=2x2}, dim_labels=b01f_01io->b01f'
  grouped = f'{line}, feature_group_count=2'
  assert operations(line, a='f32[1,8,8,4]', k='f32[2,2,4,6]') == 2 * 8 * 8 * 4 * 6
  assert operations(grouped, a='f32[1,8,8,4]', k='f32[2,2,2,6]') == 2 * 8 * 8 * 2 * 6


def test_dilations_leave_out_their_zeros():
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
def test_what_cudnn_is_called_for(target, result, first, second):
  line = f'({result}, u8[0]) custom-call(%a, %b), {SAME}, custom_call_target="__cudnn$conv{target}"'
  assert operations(line, a=first, b=second) == 2 * 2 * TAPS * 3 * 5


def test_what_cublas_is_called_for():
  numbers = '{"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["0"]}}}'
  line = f'(f32[4,16], s8[99]) custom-call(%a, %b), custom_call_target="__cublas$gemm", backend_config={numbers}'
  assert operations(line, a='f32[8,4]', b='f32[8,16]') == 2 * 4 * 8 * 16
  assert operations('f32[4] custom-call(%a), custom_call_target="other"', a='f32[8,4]') == 0


def test_transforms():
  line = 'c64[3,16,9] fft(%a), fft_type=RFFT, fft_length={16,16}'
  assert operations(line, a='f32[3,16,16]') == 2.5 * 3 * 256 * 8


@pytest.mark.parametrize(
  'source, multiplies, expected',
  [
    ('jit(step)/jvp(Generator)/stem/conv/conv_general_dilated', True, 'generator, stem'),
    ('jit(step)/transpose(jvp(Generator))/down_2/conv/add', True, 'generator, encoder 2'),
    ('jit(f)/Generator/Generator._residual_blocks/decoder_3_1/conv/conv', True, 'generator, decoder 3'),
    ('jit(f)/Generator/Generator._residual_blocks/decoder_3_1/norm/mul', False, 'BatchNorm'),
    ('jit(f)/Generator/Generator._residual_blocks/decoder_3_1/norm/mul', True, 'generator, decoder 3'),
    (
      'jit(f)/Generator/Generator._residual_blocks/encoder_1_0/spatial_gate/norm/mul',
      False,
      'attention, spatial gates',
    ),
    ('jit(f)/Generator/Generator._residual_blocks/encoder_1_0/channel_gate/excite', True, 'attention, channel gates'),
    ('jit(f)/Generator/bottleneck_0/first/ffc/global_to_global/fourier_unit/fft', True, 'alignment, Fourier units'),
    ('jit(f)/Generator/fusion_3/first/ffc/local_to_local/conv', True, 'alignment, convolutions'),
    ('jit(f)/Generator/fusion_3/first/adain_local/gamma/dot', True, 'alignment, AdaIN'),
    ('jit(f)/Generator/audio_encoder/down_1/conv', True, 'generator, audio encoder'),
    ('jit(step)/jvp(SyncExpert.embed_speech)/audio_encoder/down_1/conv', True, 'expert, audio encoder'),
    ('jit(step)/jvp(SyncExpert)/face_encoder/residual_1_2/conv', True, 'expert, face level 1'),
    ('jit(step)/jvp(Discriminator)/Discriminator._conv/face_encoder_blocks_5_1/c', True, 'discriminator, level 5'),
    ('jit(step)/transpose(jvp(lpips))/conv3_2/conv_general_dilated', True, 'VGG, block 3'),
    ('jit(step)/jvp(lpips)/nhwc,c->n/reduce_sum', True, 'LPIPS without VGG'),
    ('jit(step)/optimizer/mul', False, roofline.OPTIMISER),
    ('jit(step)/jvp()/abs', False, roofline.REST),
    ('', True, roofline.REST),
  ],
)
def test_groups(source, multiplies, expected):
  assert roofline.group(source, multiplies) == expected


def test_rows_of_a_program():
  text = TEXT.replace('op_name="D"', 'op_name="jit(f)/Generator/head/dot_general"')
  measured = {'f': 3.0, 'n': 2.0, 'not_there': 5.0}
  head, norm = roofline.rows(*hlo.parse(text), Peak(flops=64.0, bandwidth=64.0), measured)
  assert (head.group, head.kernels, head.flops) == ('generator, head', 1, 2 * 4 * 8 * 16)  # after what is fused
  assert head.bytes == 4 * (4 * 8 + 8 * 16 + 4 * 16) and head.floor == 16.0 and head.binds == 'arithmetic'
  assert head.measured == 3.0 and head.share == 16 / 3
  assert (norm.group, norm.kernels, norm.flops) == ('BatchNorm', 2, 0)  # a copy belongs to what it is made for
  assert norm.bytes == 2 * 2 * 4 * 64 and norm.floor == 16.0 and norm.binds == 'memory'
  assert norm.measured == 2.0 and norm.measured_floor == 8.0 and norm.share == 4.0  # half of it was not measured


def test_what_is_not_measured():
  peak = Peak(flops=1.0, bandwidth=1.0)
  assert [row.measured for row in roofline.rows(*hlo.parse(TEXT), peak)] == [None, None]
  rows = roofline.rows(*hlo.parse(TEXT), peak, {'f': 3.0, 'n': 2.0}, unseen=['negate'])
  assert [row.measured for row in rows] == [3.0, None]


def test_a_nameless_convolution_is_named_after_its_gradient():
  text = TEXT.replace('op_name="jit(f)/Generator/stem/norm/add"', '').replace('op_name="D"', '')
  text = text.replace('(0)', '(0), metadata={op_name="a"}').replace(
    '  %f =', '  %g = f32[8,16] negate(%b), metadata={op_name="jit(f)/transpose(jvp(Generator))/up_2/neg"}\n  %f ='
  )
  text = text.replace('fusion(%a, %b)', 'fusion(%a, %g)')
  first, *_ = roofline.rows(*hlo.parse(text), Peak(1.0, 1.0))
  assert first.group == 'generator, decoder 2'


@pytest.mark.parametrize('stride', [1, 2])
def test_operations_of_compiled_gradients_are_those_that_xla_counts(stride):
  def loss(kernels, x):
    for kernel in kernels:
      x = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=('NHWC', 'HWIO', 'NHWC')
      )
    return jnp.sum((x @ x.mean((0, 1, 2))) ** 2)

  kernels = [jax.ShapeDtypeStruct((3, 3, 16, 16), jnp.float32)] * 2
  x = jax.ShapeDtypeStruct((2, 16, 16, 16), jnp.float32)
  compiled = jax.jit(jax.grad(loss)).lower(kernels, x).compile()
  found = sum(row.flops for row in roofline.rows(*hlo.parse(compiled.as_text()), Peak(1.0, 1.0)))
  assert found == pytest.approx(compiled.cost_analysis()['flops'], rel=0.03)


def test_rounds_of_a_loop_count():
  def f(x):
    return jax.lax.fori_loop(0, 7, lambda i, x: jnp.sin(x) @ x, x)

  x = jax.ShapeDtypeStruct((64, 64), jnp.float32)
  text = jax.jit(f).lower(x).compile().as_text()
  assert sum(row.flops for row in roofline.rows(*hlo.parse(text), Peak(1.0, 1.0))) == 7 * 2 * 64**3
