"""LPIPS, the learned perceptual image patch similarity (Zhang et al., arXiv 1801.03924), version 0.1 on VGG16."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.precision import at_least_float32
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.perceptual.vgg import FEATURES, vgg16_features

Weights = dict[str, Any]

# ImageNet's mean and standard deviation (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), for images in [-1, 1].
MEAN = np.array([-0.030, -0.088, -0.188], np.float32)
DEVIATION = np.array([0.458, 0.448, 0.450], np.float32)
EPSILON = 1e-20  # of a squared length; the published y / (|y| + 1e-10) has no gradient where all features are 0


@jax.named_scope('lpips')
def lpips(
  x: Float[AnyArray, 'n h w 3'], y: Float[AnyArray, 'n h w 3'], weights: Weights, dtype: DTypeLike = jnp.float32
) -> Float[Array, ' n']:
  """Returns the perceptual distance between two batches of images.

  Args:
    x: RGB in [-1, 1]; h, w >= 16.
    y: images of the same shape.
    weights: a pytree from `load_weights` or `random_weights`; pass it to jitted functions as an argument.
    dtype: what VGG16's convolutions compute in; the distance between features is float32 or better.

  Returns:
    >= 0, float32 or better, and 0 up to rounding for equal images. Gradients are finite everywhere, for equal images
    and constant ones too.

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


def features(
  images: Float[AnyArray, 'n h w 3'], name: str, weights: Weights, dtype: DTypeLike = jnp.float32
) -> Float[Array, 'n h2 w2 c']:
  """Returns one of the feature maps that LPIPS compares, float32 or better.

  Args:
    images: RGB in [-1, 1]; h, w >= 16.
    name: one of `vgg.FEATURES`, such as 'relu3_3', whose maps are (n, h // 4, w // 4, c).
    weights, dtype: see `lpips`.

  Raises:
    ValueError: the images are too small.
  """
  return at_least_float32(vgg16_features(weights['vgg'], _standardise(images), dtype)[FEATURES.index(name)])


@jax.custom_vjp
def feature_distance(
  x: Float[Array, 'n h w c'], y: Float[Array, 'n h w c'], weight: Float[AnyArray, ' c']
) -> Float[Array, ' n']:
  """Returns the weighted squared distance of unit features, averaged over places: one term of LPIPS.

  Args:
    x: feature maps.
    y: feature maps of the same shape.
    weight: >= 0, applied after the square.

  Returns:
    float32 or better.

  Its gradient is written out: JAX's own keeps unit features and their differences, in float32, for the backward pass.
  These maps are the largest of a training step, and it is cheaper to read x and y again.
  """
  return _feature_distance_fwd(x, y, weight)[0]


def _feature_distance_fwd(x: Array, y: Array, weight: AnyArray) -> tuple[Array, tuple[Array, ...]]:
  """Computes all sums over channels at once, so that each map is read once; distances are exact to 1e-7 or so."""
  x32, y32, weight = map(at_least_float32, (x, y, weight))
  inverse_x, inverse_y = (lax.rsqrt((z * z).sum(-1) + EPSILON) for z in (x32, y32))
  xx, yy = ((weight * z * z).sum(-1) * inverse**2 for z, inverse in ((x32, inverse_x), (y32, inverse_y)))
  xy = (weight * x32 * y32).sum(-1) * inverse_x * inverse_y
  distance = jnp.maximum(xx - 2 * xy + yy, 0).mean((1, 2))
  return distance, (x, y, weight, inverse_x, inverse_y, xx - xy, yy - xy)


def _feature_distance_bwd(residuals: tuple[Array, ...], gradient: Array) -> tuple[Array, Array, Array]:
  """Pulls each unit feature away from the other, less the part along itself: lengths do not count."""
  x, y, weight, inverse_x, inverse_y, along_x, along_y = residuals
  inverse_x, inverse_y, along_x, along_y = (z[..., None] for z in (inverse_x, inverse_y, along_x, along_y))
  a, b = at_least_float32(x) * inverse_x, at_least_float32(y) * inverse_y
  scale = gradient[:, None, None, None] / (x.shape[1] * x.shape[2])
  pull = weight * (a - b)
  grad_x = 2 * scale * inverse_x * (pull - along_x * a)
  grad_y = -2 * scale * inverse_y * (pull + along_y * b)
  return grad_x.astype(x.dtype), grad_y.astype(y.dtype), (scale * (a - b) ** 2).sum((0, 1, 2))


feature_distance.defvjp(_feature_distance_fwd, _feature_distance_bwd)


def _standardise(images: AnyArray) -> AnyArray:
  images = images.astype(jnp.promote_types(images.dtype, jnp.float32))
  return (images - MEAN.reshape(1, 1, 1, 3)) / DEVIATION.reshape(1, 1, 1, 3)
