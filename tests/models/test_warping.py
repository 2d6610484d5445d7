"""Faces made by moving pixels: nothing moves at first, and pixels come from where the network says."""

import jax
import jax.numpy as jnp
import numpy as np

from lpips_jax.models import warping


def test_nothing_moves_and_little_is_painted_at_first():
  image = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 32, 32, 3)), jnp.float32)
  parts = warping.parts_of(jnp.zeros((1, 32, 32, 6)))
  np.testing.assert_array_equal(parts[..., :2], 0)
  assert parts[..., 2].max() < 0.05
  sooner = warping.parts_of(jnp.zeros((1, 32, 32, 6)), paint_bias=-1.0)
  np.testing.assert_allclose(sooner[0, -1, :, 2], 1 / (1 + np.e), rtol=1e-5)
  np.testing.assert_allclose(warping.compose(parts.at[..., 2].set(0), image), image, atol=1e-3)


def test_pixels_come_from_where_the_parts_say():
  image = jnp.asarray(np.random.default_rng(0).uniform(size=(1, 16, 16, 3)), jnp.float32)
  parts = np.zeros((1, 16, 16, 6), np.float32)
  parts[..., 0], parts[..., 1] = 3 / 16, 2 / 16
  moved = warping.compose(jnp.asarray(parts), image)
  np.testing.assert_allclose(moved[0, 2:12, 2:12], image[0, 4:14, 5:15], atol=1e-5)
  parts[..., 2:] = 1
  np.testing.assert_array_equal(warping.compose(jnp.asarray(parts), image), 1)


def test_only_the_lower_half_changes_and_no_pixel_comes_from_far():
  parts = warping.parts_of(50 * jax.random.normal(jax.random.key(0), (2, 32, 32, 6)))
  np.testing.assert_array_equal(parts[:, :14, :, :3], 0)
  assert 0.1 < np.abs(parts[..., :2]).max() <= warping.MAX_FLOW
  assert parts[..., 2:].min() >= 0 and parts[..., 2:].max() <= 1
