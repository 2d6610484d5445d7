"""The generator's parts against NumPy, its size against the method's table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lpips_jax.layers.fourier import irfft2, rfft2
from lpips_jax.layers.maximum import _slack, maximum
from lpips_jax.layers.subpixel import SubpixelConv
from lpips_jax.layers.transposed import (
  TransposedConv,
  by_four_convs,
  by_gradient,
  gradients_by_four_convs,
  gradients_by_gradient,
)
from lpips_jax.models.alignment import AdaIN
from lpips_jax.models.cbam import ResidualCBAM
from lpips_jax.models.fourier import FastFourierConv, FourierUnit
from lpips_jax.models.generator import Generator
from lpips_jax.models.inputs import generator_faces, lower_half_at
from lpips_jax.models.sync_expert import SyncExpert

RNG = np.random.default_rng(0)


def perturbed(variables):
  """Variables none of which is at its neutral initial value, so that each one's use shows."""
  generator = np.random.default_rng(1)
  return jax.tree.map(lambda x: x + 0.3 * np.abs(generator.standard_normal(x.shape)).astype(np.float32), variables)


def count(module, *shapes):
  """How many numbers each collection of variables has."""
  inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
  variables = jax.eval_shape(module.init, jax.random.key(0), *inputs)
  return {name: sum(x.size for x in jax.tree.leaves(tree)) for name, tree in variables.items()}


def conv(x, kernel, pad_mode=None):
  """A stride-1 convolution as nested sums: x (n, h, w, c), kernel (k, k, c, f)."""
  k = kernel.shape[0]
  if pad_mode:
    x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)), mode=pad_mode)
  height, width = x.shape[1] - k + 1, x.shape[2] - k + 1
  return sum(x[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(k) for j in range(k))


def batch_norm(x, params, stats):
  return (x - stats['mean']) / np.sqrt(stats['var'] + 1e-5) * params['scale'] + params['bias']


def fourier_unit(x, params, stats):
  spectrum = np.fft.rfft2(x, axes=(1, 2), norm='ortho')
  parts = conv(np.concatenate([spectrum.real, spectrum.imag], -1), params['conv']['kernel'])
  real, imaginary = np.split(np.maximum(batch_norm(parts, params['norm'], stats['norm']), 0), 2, -1)
  return np.fft.irfft2(real + 1j * imaginary, s=x.shape[1:3], axes=(1, 2), norm='ortho')


@pytest.mark.parametrize('shape', [(2, 6, 6, 3), (1, 5, 9, 2), (1, 1, 2, 1), (1, 12, 7, 1)])
def test_transforms_are_those_of_numpy(shape):
  x = RNG.standard_normal(shape).astype(np.float32)
  complex_ = np.fft.rfft2(x, axes=(1, 2), norm='ortho')
  np.testing.assert_allclose(rfft2(x), np.concatenate([complex_.real, complex_.imag], -1), atol=1e-5)
  changed = RNG.standard_normal((*complex_.shape[:-1], 2 * shape[-1])).astype(np.float32)
  real, imaginary = np.split(changed, 2, -1)
  expected = np.fft.irfft2(real + 1j * imaginary, s=shape[1:3], axes=(1, 2), norm='ortho')
  np.testing.assert_allclose(irfft2(changed, shape[2]), expected, atol=1e-5)


@pytest.mark.parametrize('size', [(6, 6), (5, 7)])
def test_fourier_unit_matches_numpy(size):
  x = RNG.standard_normal((2, *size, 4)).astype(np.float32)
  module = FourierUnit()
  variables = perturbed(module.init(jax.random.key(0), x, False))
  expected = fourier_unit(x, variables['params'], variables['batch_stats'])
  np.testing.assert_allclose(module.apply(variables, x, False), expected, atol=1e-5)


def test_fast_fourier_convolution_matches_numpy():
  local, global_ = (RNG.standard_normal((2, 6, 6, c)).astype(np.float32) for c in (2, 6))
  module = FastFourierConv()
  variables = perturbed(module.init(jax.random.key(0), local, global_, False))
  params, stats = variables['params'], variables['batch_stats']['global_to_global']

  transform = params['global_to_global']
  reduced = conv(global_, transform['reduce']['kernel'])
  hidden = np.maximum(batch_norm(reduced, transform['norm'], stats['norm']), 0)
  hidden = hidden + fourier_unit(hidden, transform['fourier_unit'], stats['fourier_unit'])
  spectral = conv(hidden, transform['expand']['kernel'])

  def reflect(x, name):
    return conv(x, params[name]['kernel'], 'reflect')

  expected_local = reflect(local, 'local_to_local') + reflect(global_, 'global_to_local')
  expected_global = reflect(local, 'local_to_global') + spectral
  got_local, got_global = module.apply(variables, local, global_, False)
  np.testing.assert_allclose(got_local, expected_local, atol=1e-5 * np.abs(expected_local).max())
  np.testing.assert_allclose(got_global, expected_global, atol=1e-5 * np.abs(expected_global).max())


@pytest.mark.parametrize('mean', [0, 100, 10_000])
def test_adain_matches_numpy(mean):
  """Also of features whose mean is many times their deviation: no BatchNorm comes before, and float32 has 24 bits."""
  x = (mean + RNG.standard_normal((3, 4, 5, 6))).astype(np.float32)
  z = RNG.standard_normal((3, 8)).astype(np.float32)
  module = AdaIN(hidden=16)
  variables = perturbed(module.init(jax.random.key(0), x, z))
  dense = {name: (layer['kernel'], layer['bias']) for name, layer in variables['params'].items()}
  code = np.maximum(z @ dense['hidden'][0] + dense['hidden'][1], 0)
  gamma, beta = (code @ dense[name][0] + dense[name][1] for name in ('gamma', 'beta'))
  exact = x.astype(np.float64)
  normalised = (exact - exact.mean((1, 2), keepdims=True)) / np.sqrt(exact.var((1, 2), keepdims=True) + 1e-5)
  expected = normalised * (1 + gamma[:, None, None]) + beta[:, None, None]
  np.testing.assert_allclose(module.apply(variables, x, z), expected, atol=1e-5 + 5e-7 * mean * np.abs(1 + gamma).max())


def test_cbam_matches_numpy():
  x = RNG.standard_normal((2, 8, 8, 4)).astype(np.float32)
  module = ResidualCBAM()
  variables = perturbed(module.init(jax.random.key(0), x, False))
  params, stats = variables['params'], variables['batch_stats']

  y = batch_norm(conv(x, params['conv']['kernel'], 'constant'), params['norm'], stats['norm'])
  squeeze, excite = params['channel_gate']['squeeze'], params['channel_gate']['excite']

  def mlp(v):
    return np.maximum(v @ squeeze['kernel'] + squeeze['bias'], 0) @ excite['kernel'] + excite['bias']

  y = y / (1 + np.exp(-mlp(y.mean((1, 2))) - mlp(y.max((1, 2)))))[:, None, None]
  spatial = params['spatial_gate']
  pooled = np.stack([y.max(-1), y.mean(-1)], -1)
  logits = batch_norm(
    conv(pooled, spatial['conv']['kernel'], 'constant'), spatial['norm'], stats['spatial_gate']['norm']
  )
  expected = np.maximum(x + y / (1 + np.exp(-logits)), 0)
  np.testing.assert_allclose(module.apply(variables, x, False), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize('axis', [1, 2])
def test_peak_has_the_gradient_of_the_maximum(axis):
  x, weights = (RNG.standard_normal((2, 6, 5)).astype(np.float32) for _ in range(2))
  np.testing.assert_array_equal(maximum(x, axis), x.max(axis, keepdims=True))
  ours, jaxs = (
    jax.jit(jax.grad(lambda x, of: (of(x) * weights).sum()), static_argnums=1)(x, of)
    for of in (lambda x: maximum(x, axis), lambda x: x.max(axis, keepdims=True))
  )
  np.testing.assert_allclose(ours, jaxs, atol=1e-6)


def test_gradient_of_equal_peaks_goes_to_the_first():
  x = jnp.array([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0]])
  np.testing.assert_array_equal(jax.grad(lambda x: maximum(x, 1).sum())(x), [[0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(('dtype', 'rounding'), [(jnp.float32, 1e-6), (jnp.bfloat16, 2**-9)])
def test_a_peak_is_found_where_the_map_is_rounded_otherwise(dtype, rounding):
  x = jnp.array([1.0, 3.0, 2.0], dtype)
  highest = maximum(x, 0)
  rounded_down = x.astype(jnp.float32) * (1 - rounding)
  assert (rounded_down < highest).all()
  assert (rounded_down >= highest - _slack(highest)).tolist() == [False, True, False]


def test_transposed_convolution_is_that_of_flax_and_pytorch():
  x = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
  module = TransposedConv(6)
  variables = perturbed(module.init(jax.random.key(0), x))
  dilated = nn.ConvTranspose(6, (3, 3), (2, 2), padding=((1, 2), (1, 2)), use_bias=False)
  np.testing.assert_allclose(module.apply(variables, x), dilated.apply(variables, x), atol=1e-5)


@pytest.mark.parametrize('ways', [(by_four_convs, gradients_by_four_convs), (by_gradient, gradients_by_gradient)])
def test_transposed_convolution_is_the_same_on_all_devices(ways):
  x, kernel, gradient = (RNG.standard_normal(s).astype(np.float32) for s in ((2, 3, 4, 5), (3, 3, 5, 6), (2, 6, 8, 6)))
  forward, backward = ways

  def dilated(x, kernel):
    return nn.ConvTranspose(6, (3, 3), (2, 2), ((1, 2), (1, 2)), use_bias=False).apply(
      {'params': {'kernel': kernel}}, x
    )

  expected, pull = jax.vjp(dilated, x, kernel)
  np.testing.assert_allclose(forward(x, kernel), expected, atol=1e-5)
  for got, reference in zip(backward(x, kernel, gradient), pull(gradient), strict=True):
    np.testing.assert_allclose(got, reference, atol=1e-4)


@pytest.mark.parametrize('size', [(8, 12), (6, 4), (3, 5)])
@pytest.mark.parametrize('kernel', [3, 7])
def test_subpixel_convolution_is_a_convolution(size, kernel):
  x = RNG.standard_normal((2, *size, 2)).astype(np.float32)
  module = SubpixelConv(3, kernel)
  variables = perturbed(module.init(jax.random.key(0), x))
  expected = conv(x, variables['params']['kernel'], 'constant')
  np.testing.assert_allclose(module.apply(variables, x), expected, atol=1e-5 * np.abs(expected).max())


def test_from_reference_begins_as_the_reference_under_the_target():
  target, reference = RNG.uniform(0.1, 0.9, (2, 1, 16, 16, 3)).astype(np.float32)
  small = {'widths': (4, 8), 'blocks': 0, 'bottleneck': 0, 'audio_widths': (4,) * 5, 'audio_residuals': (0,) * 4}
  module = Generator(**small, output='change')
  inputs = generator_faces(target, reference), RNG.standard_normal((1, 80, 16)).astype(np.float32)
  generated, variables = jax.jit(module.init_with_output)(jax.random.key(0), *inputs)
  np.testing.assert_allclose(generated, np.concatenate([target[:, :8], reference[:, 8:]], 1), atol=1e-6)
  assert np.abs(jax.jit(module.apply)(perturbed(variables), *inputs) - generated).max() > 0.1


def test_parameter_counts():
  counts = count(Generator(), (1, 96, 96, 6), (1, 80, 16))
  assert round(counts['params'] / 1e6, 1) == 22.7
  counts = count(SyncExpert(), (1, 5, 96, 96, 3), (1, 80, 16))
  # Wav2Lip's SyncNet_color has a bias, too, for each of the channels that BatchNorm has a mean and a variance of.
  assert counts['params'] + counts['batch_stats'] // 2 == 16_435_072


@pytest.mark.parametrize('size', [96, 128])
@pytest.mark.parametrize('ablation', [{}, {'attention': False}, {'fusion': 'concat'}, {'fusion': 'bottleneck'}])
def test_output_shape(size, ablation):
  shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, size, size, 6), (2, 80, 16))]
  out, _ = jax.eval_shape(lambda *x: Generator(**ablation).init_with_output(jax.random.key(0), *x), *shapes)
  assert out.shape == (2, size, size, 3)


def test_target_mouth_is_hidden_and_reference_is_not():
  target, reference = RNG.integers(1, 255, (2, 1, 8, 6, 3), dtype=np.uint8)
  faces = np.asarray(generator_faces(target, reference))
  assert (faces[:, 4:, :, :3] == 0).all()
  np.testing.assert_allclose(faces[:, :4, :, :3], target[:, :4] / 255, rtol=1e-6)
  np.testing.assert_allclose(faces[..., 3:], reference / 255, rtol=1e-6)


def test_lower_half_is_resized_without_aliasing():
  stripes = np.zeros((1, 8, 64, 1), np.float32)
  stripes[..., ::2, :] = 1
  assert lower_half_at(stripes, 16).shape == (1, 8, 16, 1)
  np.testing.assert_allclose(lower_half_at(stripes, 16)[0, :, 2:-2], 0.5, atol=0.13)


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float32])
def test_computes_in_what_it_is_told_and_gives_float32(dtype):
  generator = Generator((4, 8), 3, 1, 1, (4, 4, 8, 8, 8), (0, 0, 0, 0), dtype=dtype)
  shapes = jax.ShapeDtypeStruct((2, 32, 32, 6), jnp.float32), jax.ShapeDtypeStruct((2, 80, 16), jnp.float32)
  out, variables = jax.eval_shape(generator.init_with_output, jax.random.key(0), *shapes)
  assert out.shape == (2, 32, 32, 3) and out.dtype == jnp.float32
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
  program = jax.jit(generator.apply, static_argnames='train').lower(variables, *shapes, train=False).as_text()
  convolutions = [line for line in program.splitlines() if 'stablehlo.convolution' in line]
  short = {jnp.float32: 'f32>', jnp.bfloat16: 'bf16>'}[dtype]
  assert convolutions and all(line.endswith(f'x{short}') for line in convolutions)
