"""Pictures of any size, moved and painted as the network does its own."""

import jax.numpy as jnp
import numpy as np

from lpips_jax.faces import warping as faces_warping
from lpips_jax.faces.pose import UNMOVED
from lpips_jax.models import warping


def _image(size):
  places = np.linspace(0, 6, size)
  waves = np.stack([np.sin(places[:, None] + k) * np.cos(2 * places + k) for k in range(3)], -1)
  return np.round(127 + 100 * waves).astype(np.uint8)


def test_a_picture_of_any_size_moves_alike():
  raw = np.zeros((1, 32, 32, 6), np.float32)
  raw[..., 0], raw[..., 1], raw[..., 2] = 0.3, -0.2, 2.0
  parts = np.asarray(warping.parts_of(jnp.asarray(raw)))
  same = faces_warping.compose(parts[0], _image(32))
  made = np.asarray(warping.compose(jnp.asarray(parts), jnp.asarray(_image(32)[None] / np.float32(255))))[0]
  inside = slice(4, 28)
  assert np.abs(same[inside, inside] / 255 - made[inside, inside]).mean() < 0.01
  larger = faces_warping.compose(parts[0], _image(96))
  assert larger.shape == (96, 96, 3)
  assert np.abs(larger.reshape(32, 3, 32, 3, 3).mean((1, 3)) - same)[inside, inside].mean() < 6


def test_a_pose_says_where_the_reference_is():
  parts = np.zeros((32, 32, 6), np.float32)
  shifted = np.array([[1, 0, 4 / 32], [0, 1, 0]])
  image = _image(32)
  np.testing.assert_array_equal(faces_warping.compose(parts, image, UNMOVED), image)
  np.testing.assert_allclose(faces_warping.compose(parts, image, shifted)[:, :28], image[:, 4:], atol=1)
