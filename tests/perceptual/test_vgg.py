"""VGG16's convolutions: its shapes, and the maps that LPIPS compares beside plain NumPy."""

import numpy as np
import pytest
from numpy_layers import conv

from lpips_jax.perceptual import random_weights
from lpips_jax.perceptual.vgg import layer_shapes, vgg16_features


def test_full_width_is_vgg16():
  parameters = sum(np.prod(shape) + shape[-1] for shape in layer_shapes().values())
  assert parameters == 14_714_688  # torchvision's vgg16().features


def test_maps_match_numpy():
  params = random_weights(seed=1, width=1 / 32)['vgg']
  x = np.random.default_rng(0).standard_normal((2, 19, 16, 3)).astype(np.float32)
  maps = vgg16_features(params, x)
  assert [y.shape[1:3] for y in maps] == [(19, 16), (9, 8), (4, 4), (2, 2), (1, 1)]
  for block, found in enumerate(maps, 1):
    for name in (name for name in layer_shapes() if name.startswith(f'conv{block}')):
      x = np.maximum(conv(x, params[name]['kernel'], 'constant') + params[name]['bias'], 0)
    np.testing.assert_allclose(found, x, atol=1e-4 * np.abs(x).max())
    height, width = x.shape[1] // 2, x.shape[2] // 2
    x = x[:, : 2 * height, : 2 * width].reshape(2, height, 2, width, 2, x.shape[-1])
    x = x.max((2, 4)) if height else x


def test_small_images_are_refused():
  with pytest.raises(ValueError, match='at least 16 x 16'):
    vgg16_features(random_weights(seed=1, width=1 / 32)['vgg'], np.zeros((1, 15, 16, 3), np.float32))
