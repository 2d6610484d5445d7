"""The generator: its size against the method's table, its ablations, and the ways it makes a face."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_layers import perturbed

from lpips_jax.models.generator import Generator
from lpips_jax.models.inputs import generator_faces

RNG = np.random.default_rng(0)
SMALL = {'widths': (4, 8), 'blocks': 0, 'bottleneck': 1, 'audio_widths': (4,) * 5, 'audio_residuals': (0,) * 4}


def test_a_change_begins_as_the_reference_under_the_target():
  target, reference = RNG.uniform(0.1, 0.9, (2, 1, 16, 16, 3)).astype(np.float32)
  module = Generator(**SMALL | {'bottleneck': 0}, output='change')
  inputs = generator_faces(target, reference), RNG.standard_normal((1, 80, 16)).astype(np.float32)
  generated, variables = jax.jit(module.init_with_output)(jax.random.key(0), *inputs)
  np.testing.assert_allclose(generated, np.concatenate([target[:, :8], reference[:, 8:]], 1), atol=1e-6)
  assert np.abs(jax.jit(module.apply)(perturbed(variables), *inputs) - generated).max() > 0.1


def test_has_as_many_parameters_as_the_method_says():
  variables = jax.eval_shape(Generator().init, jax.random.key(0), *Generator().example_inputs(96))
  assert round(sum(x.size for x in jax.tree.leaves(variables['params'])) / 1e6, 1) == 22.7


@pytest.mark.parametrize('size', [96, 128])
@pytest.mark.parametrize('ablation', [{}, {'attention': False}, {'fusion': 'concat'}, {'fusion': 'bottleneck'}])
def test_output_shape(size, ablation):
  shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, size, size, 6), (2, 80, 16))]
  module = Generator(blocks=1, bottleneck=1, audio_residuals=(0,) * 4, **ablation)
  out, _ = jax.eval_shape(lambda *x: module.init_with_output(jax.random.key(0), *x), *shapes)
  assert out.shape == (2, size, size, 3)


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float32])
def test_computes_in_its_dtype_and_returns_float32(dtype):
  generator = Generator((4, 8), 3, 1, 1, (4, 4, 8, 8, 8), (0, 0, 0, 0), dtype=dtype)
  shapes = jax.ShapeDtypeStruct((2, 32, 32, 6), jnp.float32), jax.ShapeDtypeStruct((2, 80, 16), jnp.float32)
  out, variables = jax.eval_shape(generator.init_with_output, jax.random.key(0), *shapes)
  assert out.shape == (2, 32, 32, 3) and out.dtype == jnp.float32
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
  program = jax.jit(generator.apply, static_argnames='train').lower(variables, *shapes, train=False).as_text()
  convolutions = [line for line in program.splitlines() if 'stablehlo.convolution' in line]
  short = {jnp.float32: 'f32>', jnp.bfloat16: 'bf16>'}[dtype]
  assert convolutions and all(line.endswith(f'x{short}') for line in convolutions)


@pytest.mark.slow
def test_a_generator_that_warps_and_hears_phones():
  model = Generator(**SMALL, fusion='bottleneck', output='warp', speech='phones')
  faces = jax.random.uniform(jax.random.key(0), (2, 16, 16, 6))
  speech = jax.random.uniform(jax.random.key(1), (2, 80, 16))
  variables = jax.jit(model.init)(jax.random.key(2), faces, speech)
  parts = jax.eval_shape(lambda: model.apply(variables, faces, speech, parts=True))
  assert parts.shape == (2, 16, 16, 6)

  @jax.jit
  def loss(params):
    image = model.apply(variables | {'params': params}, faces, speech)
    return ((image - faces[..., 3:]) ** 2).mean(), image

  gradient, made = jax.grad(loss, has_aux=True)(variables['params'])
  assert made.shape == (2, 16, 16, 3)
  np.testing.assert_allclose(made[:, :7], faces[:, :7, :, :3], atol=1e-2)  # the upper half is the target's
  assert np.isfinite(gradient['change']).all() and np.abs(gradient['change']).sum() > 0
