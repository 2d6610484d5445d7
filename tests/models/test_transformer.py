"""The transformer against NumPy, and what a clip's padding may change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_layers import perturbed
from scipy.special import erf

from lpips_jax.models.transformer import Attention, Block, PositionalConv, Transformer, within

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 7, 8)).astype(np.float32)


def gelu(x):
  return x * (1 + erf(x / np.sqrt(2))) / 2


def dense(x, params):
  return x @ params['kernel'] + params['bias']


def norm(x, params):
  return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * params['scale'] + params['bias']


def attention(x, params, heads, length):
  """Frame by frame and head by head."""
  query, key, value = (dense(x, params[name]) for name in ('query', 'key', 'value'))
  seen = np.zeros_like(x)
  width = x.shape[-1] // heads
  for clip, frame, head in np.ndindex(*x.shape[:2], heads):
    part = slice(head * width, (head + 1) * width)
    logits = key[clip, : length[clip], part] @ query[clip, frame, part] / np.sqrt(width)
    weights = np.exp(logits - logits.max())
    seen[clip, frame, part] = weights / weights.sum() @ value[clip, : length[clip], part]
  return dense(seen, params['out'])


def applied(module, variables, *inputs, **options):
  return jax.jit(lambda variables, *inputs: module.apply(variables, *inputs, **options))(variables, *inputs)


def variables_of(module, *inputs):
  shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs))
  return jax.tree.map(np.asarray, perturbed(jax.tree.map(lambda x: np.full(x.shape, 0.1, x.dtype), shapes)))


@pytest.mark.parametrize('lengths', [None, (7, 4)])
def test_a_block_adds_attention_and_two_dense_layers(lengths):
  module, length = Block(2, 12), None if lengths is None else np.array(lengths)
  variables = variables_of(module, X, None, False)
  params = variables['params']
  y = X + attention(norm(X, params['attention_norm']), params['attention'], 2, (7, 7) if length is None else length)
  expected = y + dense(gelu(dense(norm(y, params['norm']), params['expand'])), params['reduce'])
  np.testing.assert_allclose(module.apply(variables, X, within(length, 7), False), expected, atol=1e-5)


@pytest.mark.parametrize('kernel', [3, 4])
def test_positions_are_a_grouped_convolution(kernel):
  """An even kernel sees one frame more before than after: fairseq pads by half of it, and drops the last output."""
  module = PositionalConv(kernel, 2)
  variables = variables_of(module, X)
  weights, bias = variables['params']['conv']['kernel'], variables['params']['conv']['bias']
  padded = np.pad(X, ((0, 0), (kernel // 2, kernel // 2), (0, 0)))
  expected = np.zeros_like(X)
  for group, tap in np.ndindex(2, kernel):
    channels = slice(4 * group, 4 * group + 4)
    expected[..., channels] += padded[:, tap : tap + 7, channels] @ weights[tap][:, channels]
  np.testing.assert_allclose(module.apply(variables, X), gelu(expected + bias), atol=1e-5)


def test_padding_changes_nothing():
  module = Transformer(2, 2, 12, position_kernel=4, position_groups=2)
  variables = variables_of(module, X)
  padded = X.copy()
  padded[1, 4:] = 100
  found = applied(module, variables, padded, np.array([7, 4]))
  np.testing.assert_allclose(found[0], applied(module, variables, X[:1])[0], atol=1e-5)
  np.testing.assert_allclose(found[1, :4], applied(module, variables, X[1:, :4])[0], atol=1e-5)
  assert np.isfinite(applied(module, variables, X, np.array([0, 7]))).all()


def test_output_layers_are_what_comes_before_the_last_normalisation():
  module = Transformer(2, 2, 12, position_kernel=0)
  variables = variables_of(module, X)
  params = variables['params']
  np.testing.assert_array_equal(module.apply(variables, X, output_layer=0), X)
  first = Block(2, 12).apply({'params': params['block_0']}, X, None, False)
  np.testing.assert_allclose(module.apply(variables, X, output_layer=1), first, atol=1e-6)
  last = module.apply(variables, X, output_layer=2)
  np.testing.assert_allclose(module.apply(variables, X), norm(np.asarray(last), params['norm']), atol=1e-5)


def test_dropout_needs_training():
  module = Transformer(1, 2, 12, position_kernel=0, dropout=0.5)
  variables = variables_of(module, X)
  np.testing.assert_array_equal(module.apply(variables, X), module.clone(dropout=0.0).apply(variables, X))
  dropped = module.apply(variables, X, train=True, rngs={'dropout': jax.random.key(1)})
  assert np.abs(dropped - module.apply(variables, X)).max() > 0.1


def test_short_numbers_are_multiplied_and_long_ones_normalised():
  module = Attention(2, dtype=jnp.bfloat16)
  variables = variables_of(module, X, None, False)
  found = module.apply(variables, X, None, False)
  assert found.dtype == jnp.bfloat16
  np.testing.assert_allclose(
    np.asarray(found, np.float32), attention(X, variables['params'], 2, (7, 7)), rtol=0.05, atol=0.05
  )
