"""Face crops as networks see them."""

import jax
import jax.numpy as jnp
import numpy as np

from lpips_jax.models.inputs import generator_faces, lower_half, lower_half_at, mouth_at, mouth_crop, to_unit

RNG = np.random.default_rng(0)


def test_bytes_become_shares_and_floats_stay():
  np.testing.assert_allclose(to_unit(np.array([0, 51, 255], np.uint8)), [0, 0.2, 1], rtol=1e-6)
  shares = np.array([0.25, 0.5])
  assert to_unit(shares) is shares


def test_target_mouth_is_hidden_and_reference_is_not():
  target, reference = RNG.integers(1, 255, (2, 1, 8, 6, 3), dtype=np.uint8)
  faces = np.asarray(generator_faces(target, reference))
  assert (faces[:, 4:, :, :3] == 0).all()
  np.testing.assert_allclose(faces[:, :4, :, :3], target[:, :4] / 255, rtol=1e-6)
  np.testing.assert_allclose(faces[..., 3:], reference / 255, rtol=1e-6)


def test_lower_half_keeps_the_middle_row_of_an_odd_image():
  rows = np.broadcast_to(np.arange(5.0).reshape(1, 5, 1, 1), (2, 5, 4, 3))
  np.testing.assert_array_equal(lower_half(rows)[0, :, 0, 0], [2, 3, 4])


def test_lower_half_is_resized_without_aliasing():
  stripes = np.zeros((1, 8, 64, 1), np.float32)
  stripes[..., ::2, :] = 1
  assert lower_half_at(stripes, 16).shape == (1, 8, 16, 1)
  np.testing.assert_allclose(lower_half_at(stripes, 16)[0, :, 2:-2], 0.5, atol=0.13)


def test_a_mouth_is_seen_alike_in_crops_of_any_size():
  y, x = np.mgrid[0:1:97j, 0:1:97j][:, :96, :96]
  frames = (0.5 + 0.5 * np.sin(6 * x) * np.cos(5 * y)).astype(np.float32)[None, :, :, None]
  larger = np.asarray(jax.image.resize(frames, (1, 192, 192, 1), 'linear'))
  small, large = (np.asarray(mouth_at(jnp.asarray(image), 96)) for image in (frames, larger))
  assert small.shape == (1, 32, 64, 1)
  np.testing.assert_allclose(small, large, atol=0.02)
  np.testing.assert_array_equal(small, frames[:, 56:88, 16:80])


def test_a_mouth_crop_is_the_grey_box_at_its_own_size():
  """The box of 100 x 50 pixels has rows 47 and below and columns 6 to 43; resizing is no change there but in width."""
  frames = RNG.integers(0, 256, (2, 100, 50, 3), dtype=np.uint8)
  box = frames[:, 47:, 6:44] / 255
  grey = (box @ [0.299, 0.587, 0.114] - 0.421) / 0.165
  expected = jax.image.resize(jnp.asarray(grey, jnp.float32), (2, 53, 53), 'linear', antialias=True)
  assert mouth_crop(frames, 53).shape == (2, 53, 53)
  np.testing.assert_allclose(mouth_crop(frames, 53), expected, atol=1e-4)
  np.testing.assert_allclose(mouth_crop((frames / 255).astype(np.float32), 53), expected, atol=1e-4)


def test_a_mouth_crop_is_alike_in_crops_of_any_size():
  y, x = np.mgrid[0:1:97j, 0:1:97j][:, :96, :96]
  plane = (0.5 + 0.5 * np.sin(6 * x) * np.cos(5 * y)).astype(np.float32)
  frames = np.stack([plane, plane**2, 1 - plane], -1)[None]
  larger = np.asarray(jax.image.resize(frames, (1, 192, 192, 3), 'linear'))
  np.testing.assert_allclose(mouth_crop(frames, 44), mouth_crop(larger, 44), atol=0.12)
