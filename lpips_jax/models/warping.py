"""A face made by moving the pixels of another: its skin, lips and beard stay as sharp as they were filmed.

What speech changes in a face is mostly where things are. A network that says where each pixel comes from, and paints
only what the other face does not show (teeth, tongue, the dark between the lips), learns that from few people, and what
it says can be applied to pictures of any size. First used for faces by Averbuch-Elor et al. (2017) and Siarohin et al.
(arXiv 2003.00196), there with key points.
"""

import jax
import jax.numpy as jnp
from einops import reduce

PARTS = 6  # of a pixel: from where it comes (x, y), how much of it is painted, and in which colour
FARTHEST = 0.2  # of the side of a face: no pixel comes from further away
MOVES_FROM = 0.46, 0.58  # rows, as shares of the height, from which pixels may begin to move, and may move freely
COARSER = 2  # flow is given on a grid so much coarser than the picture


def parts_of(raw: jax.Array) -> jax.Array:
  """Returns what is to become of each pixel, from whatever a network says.

  Args:
    raw: (n, h, w, 6), any numbers; zeros move nothing.

  Returns:
    (n, h, w, 6): x and y of the place that a pixel comes from, relative to its own, in sides of the picture, within
    `FARTHEST`; how much of it is painted, in [0, 1]; its colour, in [0, 1]. In the upper half nothing changes.
  """
  height = raw.shape[-3]
  rows = (jnp.arange(height) + 0.5) / height
  free = jnp.clip((rows - MOVES_FROM[0]) / (MOVES_FROM[1] - MOVES_FROM[0]), 0, 1)[:, None, None]
  coarse = reduce(raw[..., :2], 'n (h i) (w j) c -> n h w c', 'mean', i=COARSER, j=COARSER)
  flow = jax.image.resize(coarse, (*raw.shape[:-1], 2), 'bilinear')
  flow = free * FARTHEST * jnp.tanh(flow)
  painted = free * jax.nn.sigmoid(raw[..., 2:3] - 3)  # hardly anything at first
  return jnp.concatenate([flow, painted, jax.nn.sigmoid(raw[..., 3:])], -1)


def compose(parts: jax.Array, image: jax.Array) -> jax.Array:
  """Returns the picture that `parts_of` describes: (n, h, w, 6) and an image (n, h, w, 3) -> (n, h, w, 3).

  `faces.warping.compose` does the same to larger pictures. The image gets no gradient.
  """
  moved = _sampled(jax.lax.stop_gradient(image), parts[..., :2])
  painted = parts[..., 2:3]
  return painted * parts[..., 3:] + (1 - painted) * moved


def _sampled(image: jax.Array, flow: jax.Array) -> jax.Array:
  """Reads an image, linearly, beside each pixel; outside it its edge is repeated."""
  n, height, width, channels = image.shape
  y = jnp.clip(jnp.arange(height)[:, None] + height * flow[..., 1], 0, height - 1.001)
  x = jnp.clip(jnp.arange(width) + width * flow[..., 0], 0, width - 1.001)
  top, left = jnp.floor(jax.lax.stop_gradient(y)), jnp.floor(jax.lax.stop_gradient(x))
  down, right = (y - top)[..., None], (x - left)[..., None]
  pixels = image.reshape(n, height * width, channels)
  first = (top * width + left).astype(jnp.int32).reshape(n, -1)

  def read(offset: int) -> jax.Array:
    return jnp.take_along_axis(pixels, first[..., None] + offset, 1).reshape(image.shape)

  above = (1 - right) * read(0) + right * read(1)
  below = (1 - right) * read(width) + right * read(width + 1)
  return (1 - down) * above + down * below
