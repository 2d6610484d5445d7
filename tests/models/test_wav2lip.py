import jax
import jax.numpy as jnp
import numpy as np
import pytest
from annotations import unchecked

from lpips_jax.models.wav2lip import Wav2Lip

FACES, MELS = jax.ShapeDtypeStruct((2, 96, 96, 6), jnp.float32), jax.ShapeDtypeStruct((2, 80, 16), jnp.float32)


@pytest.fixture(scope='module')
def shapes():
  return jax.eval_shape(Wav2Lip().init, jax.random.key(0), FACES, MELS)


def count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def test_has_the_parameters_of_the_released_network(shapes):
  """But for the biases of channels that BatchNorm has a mean and a variance of."""
  assert count(shapes['params']) + count(shapes['batch_stats']) // 2 == 36_298_035


def test_parts_are_where_the_released_keys_say(shapes):
  params = shapes['params']
  kernels = {name: params[name]['conv']['kernel'].shape for name in params if 'conv' in params[name]}
  assert kernels['face_encoder_blocks_0_0'] == (7, 7, 6, 16)
  assert kernels['face_encoder_blocks_2_3'] == (3, 3, 64, 64)
  assert kernels['face_encoder_blocks_6_1'] == (1, 1, 512, 512)
  assert kernels['face_decoder_blocks_1_0'] == (3, 3, 1024, 512)
  assert kernels['face_decoder_blocks_3_0'] == (3, 3, 768, 384)
  assert kernels['face_decoder_blocks_6_0'] == (3, 3, 160, 64)
  assert kernels['output_block_0'] == (3, 3, 80, 32)
  assert params['output_block_1']['kernel'].shape == (1, 1, 32, 3)
  # Blocks of the face encoder and decoder, in the order of the method's table, and the first of the output.
  assert len(kernels) == (1 + 3 + 4 + 3 + 3 + 2 + 2) + (1 + 2 + 3 + 3 + 3 + 3 + 3) + 1
  assert len(params['audio_encoder']) == 13


@pytest.fixture(scope='module')
def run(shapes):
  """A jitted network and its inputs, with kernels that keep the signal's size; `init` takes a minute to compile."""
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    if path[-1].key == 'kernel':
      return rng.standard_normal(leaf.shape, np.float32) * np.float32(np.sqrt(2 / np.prod(leaf.shape[:-1])))
    return np.full(leaf.shape, path[-1].key in ('scale', 'var'), np.float32)

  variables = jax.tree_util.tree_map_with_path(draw, shapes)
  faces = rng.uniform(size=FACES.shape).astype(np.float32)
  mels = rng.uniform(-4, 4, MELS.shape).astype(np.float32)
  return jax.jit(Wav2Lip().apply), variables, faces, mels


def test_output_is_an_image(run):
  apply, variables, faces, mels = run
  images = apply(variables, faces, mels)
  assert images.shape == (2, 96, 96, 3) and images.dtype == jnp.float32
  assert 0 <= images.min() < images.max() <= 1


def test_face_and_speech_both_reach_the_output(run):
  apply, variables, faces, mels = run
  images = apply(variables, faces, mels)
  assert np.abs(images - apply(variables, faces, mels[::-1])).max() > 0.01
  assert np.abs(images - apply(variables, faces[::-1], mels)).max() > 0.01


def test_bfloat16_computes_on_float32_parameters():
  model = Wav2Lip(dtype=jnp.bfloat16)
  variables = jax.eval_shape(model.init, jax.random.key(0), FACES, MELS)
  assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
  images, changed = jax.eval_shape(
    lambda v, f, m: model.apply(v, f, m, train=True, mutable=['batch_stats']), variables, FACES, MELS
  )
  assert images.dtype == jnp.float32
  assert {leaf.dtype for leaf in jax.tree.leaves(changed)} == {jnp.dtype('float32')}
  program = jax.jit(model.apply).lower(variables, FACES, MELS).as_text()
  convolutions = [line for line in program.splitlines() if 'stablehlo.convolution' in line]
  assert convolutions and all(line.endswith('xbf16>') for line in convolutions)


def test_other_sizes_are_refused():
  with unchecked(), pytest.raises(ValueError, match='96, 96, 6'):
    jax.eval_shape(Wav2Lip().init, jax.random.key(0), jax.ShapeDtypeStruct((1, 128, 128, 6), jnp.float32), MELS)
