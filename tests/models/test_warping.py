"""Faces made by moving pixels: the network's picture and the one of any size agree, and nothing moves at first."""

import jax
import jax.numpy as jnp
import numpy as np

from lpips_jax.faces import warping as of_any_size
from lpips_jax.faces.pose import UNMOVED
from lpips_jax.models import warping
from lpips_jax.models.generator import Generator

SMALL = {'widths': (4, 8), 'blocks': 1, 'bottleneck': 1, 'audio_widths': (4, 4, 4, 4, 8), 'audio_residuals': (0,) * 4}


def _image(size, seed=0):
  places = np.linspace(0, 6, size)
  waves = np.stack([np.sin(places[:, None] + k) * np.cos(2 * places + k) for k in range(3)], -1)
  return np.round(127 + 100 * waves).astype(np.uint8)


def test_nothing_moves_and_little_is_painted_at_first():
  image = jnp.asarray(_image(32)[None] / 255.0)
  parts = warping.parts_of(jnp.zeros((1, 32, 32, 6)))
  np.testing.assert_array_equal(parts[..., :2], 0)
  assert parts[..., 2].max() < 0.05
  np.testing.assert_allclose(warping.compose(parts.at[..., 2].set(0), image), image, atol=1e-3)


def test_pixels_come_from_where_they_are_said_to():
  image = np.random.default_rng(0).uniform(size=(1, 16, 16, 3)).astype(np.float32)
  parts = np.zeros((1, 16, 16, 6), np.float32)
  parts[..., 0], parts[..., 1] = 3 / 16, 2 / 16
  moved = warping.compose(parts, image)
  np.testing.assert_allclose(moved[0, 2:12, 2:12], image[0, 4:14, 5:15], atol=1e-5)
  parts[..., 2:] = 1
  np.testing.assert_array_equal(warping.compose(parts, image), 1)


def test_only_the_lower_half_changes_and_no_pixel_comes_from_far():
  parts = warping.parts_of(50 * jax.random.normal(jax.random.key(0), (2, 32, 32, 6)))
  np.testing.assert_array_equal(parts[:, :14, :, :3], 0)
  assert 0.1 < np.abs(parts[..., :2]).max() <= warping.FARTHEST
  assert parts[..., 2:].min() >= 0 and parts[..., 2:].max() <= 1


def test_a_picture_of_any_size_moves_alike():
  raw = np.zeros((1, 32, 32, 6), np.float32)
  raw[..., 0], raw[..., 1], raw[..., 2] = 0.3, -0.2, 2.0
  parts = np.asarray(warping.parts_of(raw))
  same = of_any_size.compose(parts[0], _image(32))
  made = np.asarray(warping.compose(parts, _image(32)[None] / np.float32(255)))[0]
  inside = slice(4, 28)
  assert np.abs(same[inside, inside] / 255 - made[inside, inside]).mean() < 0.01
  larger = of_any_size.compose(parts[0], _image(96))
  assert larger.shape == (96, 96, 3)
  assert np.abs(larger.reshape(32, 3, 32, 3, 3).mean((1, 3)) - same)[inside, inside].mean() < 6


def test_a_pose_says_where_the_reference_is():
  parts = np.zeros((32, 32, 6), np.float32)
  shifted = np.array([[1, 0, 4 / 32], [0, 1, 0]])
  image = _image(32)
  np.testing.assert_array_equal(of_any_size.compose(parts, image, UNMOVED), image)
  np.testing.assert_allclose(of_any_size.compose(parts, image, shifted)[:, :28], image[:, 4:], atol=1)


def test_a_generator_that_warps_and_hears_phones():
  model = Generator(**SMALL, output='warp', speech='phones')
  faces = jax.random.uniform(jax.random.key(0), (2, 16, 16, 6))
  speech = jax.random.uniform(jax.random.key(1), (2, 80, 16))
  variables = model.init(jax.random.key(2), faces, speech)
  made = model.apply(variables, faces, speech)
  parts = model.apply(variables, faces, speech, parts=True)
  assert made.shape == (2, 16, 16, 3) and parts.shape == (2, 16, 16, 6)
  np.testing.assert_allclose(made[:, :7], faces[:, :7, :, :3], atol=1e-2)  # the upper half is the target's

  def loss(params):
    image = model.apply(variables | {'params': params}, faces, speech)
    return ((image - faces[..., 3:]) ** 2).mean()

  gradient = jax.grad(loss)(variables['params'])['change']
  assert np.isfinite(gradient).all() and np.abs(gradient).sum() > 0
