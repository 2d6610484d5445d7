"""The convolutions of VGG16 (Simonyan and Zisserman, arXiv 1409.1556), as far as LPIPS looks into them."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.activations import relu
from lpips_jax.layers.pooling import max_pool
from lpips_jax.layers.shapes import AnyArray

Params = Mapping[str, Mapping[str, AnyArray]]

# Output channels of the convolutions of each block; a block ends in the ReLU whose output LPIPS compares.
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
FEATURES = ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3')
MIN_SIZE = 2 ** (len(BLOCKS) - 1)  # pixels: below it nothing is left for the last block


def layer_shapes(width: float = 1) -> dict[str, tuple[int, int, int, int]]:
  """Returns the kernel shape (3, 3, in, out) of each convolution, by name: 'conv1_1' to 'conv5_3'.

  Args:
    width: multiplies every number of channels but the three of the image; 1 is VGG16.
  """
  shapes, channels = {}, 3
  for block, widths in enumerate(BLOCKS, 1):
    for layer, full in enumerate(widths, 1):
      features = max(1, round(width * full))
      shapes[f'conv{block}_{layer}'] = (3, 3, channels, features)
      channels = features
  return shapes


def vgg16_features(
  params: Params, images: Float[AnyArray, 'n h w 3'], dtype: DTypeLike = jnp.float32
) -> list[Float[Array, 'n _ _ _']]:
  """Returns the feature maps that LPIPS compares: relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3.

  Args:
    params: {'conv1_1': {'kernel': (3, 3, 3, C), 'bias': (C,)}, ...}, named as in `layer_shapes`, of any width.
    images: RGB with ImageNet's mean and deviation removed; h, w >= 16.
    dtype: what the convolutions compute in.

  Returns:
    Five arrays of `dtype`, (n, h // 2^i, w // 2^i, C_i) for i = 0..4.

  Raises:
    ValueError: the images are too small.
  """
  if min(images.shape[-3:-1]) < MIN_SIZE:
    raise ValueError(f'VGG16 needs images of at least {MIN_SIZE} x {MIN_SIZE} pixels, not {images.shape[-3:-1]}')
  x, features = jnp.asarray(images, dtype), []
  for block, widths in enumerate(BLOCKS, 1):
    if block > 1:
      x = max_pool(x)
    for layer in range(1, len(widths) + 1):
      name = f'conv{block}_{layer}'
      with jax.named_scope(name):
        x = relu(_convolve(x, **params[name]))
    features.append(x)
  return features


def _convolve(x: Array, kernel: AnyArray, bias: AnyArray) -> Array:
  y = lax.conv_general_dilated(
    x, jnp.asarray(kernel, x.dtype), (1, 1), ((1, 1), (1, 1)), dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  return y + bias.astype(x.dtype).reshape(1, 1, 1, -1)
