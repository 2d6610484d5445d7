"""Annotations of models, layers, losses, perceptual and metrics are checked in tests: wrong shapes and types fail.

The option `--jaxtyping-packages` in pyproject.toml turns the checks on; they cost nothing where it is not given.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from annotations import unchecked
from jaxtyping import TypeCheckError

from lpips_jax import losses, metrics, models, perceptual
from lpips_jax.layers.activations import relu
from lpips_jax.layers.fourier import rfft2
from lpips_jax.layers.transposed import TransposedConv
from lpips_jax.models.inputs import generator_faces

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)


def drawn(*shape):
  return RNG.random(shape, np.float32)


def shape(*sides):
  return jax.ShapeDtypeStruct(sides, jnp.float32)


WRONG = {
  'too few channels for a generator': lambda: jax.eval_shape(
    models.Generator().init, KEY, shape(1, 96, 96, 3), shape(1, 80, 16)
  ),
  'fewer windows than faces': lambda: jax.eval_shape(
    models.Generator().init, KEY, shape(2, 96, 96, 6), shape(1, 80, 16)
  ),
  'a transposed mel': lambda: jax.eval_shape(models.Generator().init, KEY, shape(1, 96, 96, 6), shape(1, 16, 80)),
  'a field of the wrong type': lambda: models.Generator(blocks='two'),
  'target and reference of other sizes': lambda: generator_faces(drawn(1, 8, 8, 3), drawn(1, 6, 6, 3)),
  'integers': lambda: relu(jnp.arange(3)),
  'no batch': lambda: rfft2(jnp.asarray(drawn(4, 4, 3))),
  'maps without channels': lambda: TransposedConv(2).init(KEY, jnp.asarray(drawn(2, 4, 4))),
  'as many windows as clips': lambda: losses.contrastive(drawn(4, 4), np.arange(2), np.arange(4)),
  'logits that are not square': lambda: losses.trust(drawn(4, 3), 2, 1.0),
  'images of other sizes': lambda: losses.reconstruction(drawn(2, 8, 8, 3), drawn(2, 8, 6, 3)),
  'grey images': lambda: perceptual.lpips(
    drawn(1, 16, 16, 1), drawn(1, 16, 16, 1), perceptual.random_weights(0, 1 / 64)
  ),
  'fewer images than truths': lambda: metrics.psnr(drawn(1, 8, 8, 3), drawn(2, 8, 8, 3)),
  'a single embedding': lambda: metrics.distances(drawn(8), drawn(8)),
}


@pytest.mark.parametrize('mistake', WRONG)
def test_a_mistake_fails(mistake):
  with pytest.raises(TypeCheckError):
    WRONG[mistake]()


def test_arrays_of_numpy_and_jax_pass_in_any_precision():
  for dtype in (np.float32, np.float64, jnp.bfloat16):
    x = drawn(2, 4, 4, 3).astype(dtype)
    for given in (x, jnp.asarray(x)):
      assert losses.reconstruction(given, given).shape == (2,)
  shapes = jax.eval_shape(losses.reconstruction, shape(5, 4, 4, 3), shape(5, 4, 4, 3))
  assert shapes.shape == (5,)


def test_without_the_checks_functions_are_what_they_are():
  with unchecked():
    assert relu(np.arange(-1, 2)).tolist() == [0, 0, 1]
