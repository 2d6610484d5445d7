"""The kernels of a program by groups: of HLO text written by hand, and of compiled programs."""

import jax
import jax.numpy as jnp
import pytest

from lpips_jax.planning import hlo, roofline
from lpips_jax.planning.roofline import PeakRates

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
def test_an_operation_belongs_to_the_part_that_its_name_says(source, multiplies, expected):
  assert roofline.group_of(source, multiplies) == expected


def test_a_program_by_groups():
  text = TEXT.replace('op_name="D"', 'op_name="jit(f)/Generator/head/dot_general"')
  measured = {'f': 3.0, 'n': 2.0, 'not_there': 5.0}
  head, norm = roofline.kernel_groups(*hlo.parse(text), PeakRates(flops=64.0, bandwidth=64.0), measured)
  assert (head.group, head.kernels, head.flops) == ('generator, head', 1, 2 * 4 * 8 * 16)  # named after what is fused
  assert head.bytes == 4 * (4 * 8 + 8 * 16 + 4 * 16) and head.floor == 16.0 and head.binds == 'arithmetic'
  assert head.measured == 3.0 and head.share == 16 / 3
  assert (norm.group, norm.kernels, norm.flops) == ('BatchNorm', 2, 0)  # a copy belongs to what it is made for
  assert norm.bytes == 2 * 2 * 4 * 64 and norm.floor == 16.0 and norm.binds == 'memory'
  assert norm.measured == 2.0 and norm.measured_floor == 8.0 and norm.share == 4.0  # half of it was not measured


def test_kernels_that_were_not_measured_have_no_time():
  peak = PeakRates(flops=1.0, bandwidth=1.0)
  assert [row.measured for row in roofline.kernel_groups(*hlo.parse(TEXT), peak)] == [None, None]
  rows = roofline.kernel_groups(*hlo.parse(TEXT), peak, {'f': 3.0, 'n': 2.0}, unmeasurable=['negate'])
  assert [row.measured for row in rows] == [3.0, None]


def test_a_nameless_convolution_is_named_after_its_gradient():
  text = TEXT.replace('op_name="jit(f)/Generator/stem/norm/add"', '').replace('op_name="D"', '')
  text = text.replace('(0)', '(0), metadata={op_name="a"}').replace(
    '  %f =', '  %g = f32[8,16] negate(%b), metadata={op_name="jit(f)/transpose(jvp(Generator))/up_2/neg"}\n  %f ='
  )
  text = text.replace('fusion(%a, %b)', 'fusion(%a, %g)')
  first, *_ = roofline.kernel_groups(*hlo.parse(text), PeakRates(1.0, 1.0))
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
  found = sum(row.flops for row in roofline.kernel_groups(*hlo.parse(compiled.as_text()), PeakRates(1.0, 1.0)))
  assert found == pytest.approx(compiled.cost_analysis()['flops'], rel=0.03)


def test_rounds_of_a_loop_count():
  def f(x):
    return jax.lax.fori_loop(0, 7, lambda i, x: jnp.sin(x) @ x, x)

  x = jax.ShapeDtypeStruct((64, 64), jnp.float32)
  text = jax.jit(f).lower(x).compile().as_text()
  assert sum(row.flops for row in roofline.kernel_groups(*hlo.parse(text), PeakRates(1.0, 1.0))) == 7 * 2 * 64**3
