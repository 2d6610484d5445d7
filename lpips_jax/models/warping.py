"""A face made by moving the pixels of another: its skin, lips and beard stay as sharp as they were filmed.

Speech mostly changes where things in a face are. A network that says where each pixel comes from, and paints only what
the other face does not show (teeth, tongue, the dark between the lips), learns that from few people, and what it says
can be applied to pictures of any size. Averbuch-Elor et al. (2017) and Siarohin et al. (arXiv 2003.00196) first did so
for faces, with key points.
"""

import jax
import jax.numpy as jnp
from einops import reduce
from jaxtyping import Array, Float

PART_CHANNELS = 6  # of a pixel: the place it comes from (x, y), how much of it is painted, and the colour (r, g, b)
MAX_FLOW = 0.2  # of the side of a face: no pixel comes from further away
MOVING_ROWS = 0.46, 0.58  # rows, as shares of the height, from which pixels may begin to move, and may move freely
PAINT_BIAS = -3.0  # hardly anything is painted at first
FLOW_PIXELS = 2  # side of the blocks of pixels that move together


def parts_of(raw: Float[Array, 'n h w 6'], paint_bias: float = PAINT_BIAS) -> Float[Array, 'n h w 6']:
  """Returns what becomes of each pixel, from the unbounded numbers of a network.

  Args:
    raw: any numbers; zeros move nothing.
    paint_bias: the log-odds of a pixel being painted where `raw` is zero, as it is before anything is learnt.

  Returns:
    For each pixel x and y of the place that it comes from, relative to its own, in sides of the picture, within
    `MAX_FLOW`; how much of it is painted, in [0, 1]; its colour, in [0, 1]. In the upper half nothing changes.
  """
  height = raw.shape[-3]
  rows = (jnp.arange(height) + 0.5) / height
  free = jnp.clip((rows - MOVING_ROWS[0]) / (MOVING_ROWS[1] - MOVING_ROWS[0]), 0, 1)[:, None, None]
  coarse = reduce(raw[..., :2], 'n (h i) (w j) c -> n h w c', 'mean', i=FLOW_PIXELS, j=FLOW_PIXELS)
  flow = jax.image.resize(coarse, (*raw.shape[:-1], 2), 'bilinear')
  flow = free * MAX_FLOW * jnp.tanh(flow)
  painted = free * jax.nn.sigmoid(raw[..., 2:3] + paint_bias)
  return jnp.concatenate([flow, painted, jax.nn.sigmoid(raw[..., 3:])], -1)


def compose(parts: Float[Array, 'n h w 6'], image: Float[Array, 'n h w 3']) -> Float[Array, 'n h w 3']:
  """Returns the picture that `parts_of` describes, made of an image, which gets no gradient.

  `faces.warping.compose` does the same to larger pictures.
  """
  moved = _sampled(jax.lax.stop_gradient(image), parts[..., :2])
  painted = parts[..., 2:3]
  return painted * parts[..., 3:] + (1 - painted) * moved


def _sampled(image: Array, flow: Array) -> Array:
  """Reads an image, linearly, beside each pixel; outside it its edge is repeated."""
  n, height, width, channels = image.shape
  y = jnp.clip(jnp.arange(height)[:, None] + height * flow[..., 1], 0, height - 1.001)
  x = jnp.clip(jnp.arange(width) + width * flow[..., 0], 0, width - 1.001)
  top, left = jnp.floor(jax.lax.stop_gradient(y)), jnp.floor(jax.lax.stop_gradient(x))
  down, right = (y - top)[..., None], (x - left)[..., None]
  pixels = image.reshape(n, height * width, channels)
  first = (top * width + left).astype(jnp.int32).reshape(n, -1)

  def read(offset: int) -> Array:
    return jnp.take_along_axis(pixels, first[..., None] + offset, 1).reshape(image.shape)

  above = (1 - right) * read(0) + right * read(1)
  below = (1 - right) * read(width) + right * read(width + 1)
  return (1 - down) * above + down * below
