"""What the networks see of a face crop: the one place that scales, masks and halves it."""

import jax
import jax.numpy as jnp


def to_unit(frames: jax.Array) -> jax.Array:
  """uint8 in [0, 255] -> float32 in [0, 1]; floats pass through."""
  return frames.astype(jnp.float32) / 255 if frames.dtype == jnp.uint8 else frames


def generator_faces(target: jax.Array, reference: jax.Array) -> jax.Array:
  """Stacks the generator's view of a face: the target without its lower half, then the reference.

  Args:
    target: (*b, h, w, 3) uint8, or float in [0, 1]: the crop to be given a new mouth.
    reference: the same shape: a crop that shows the person's mouth.

  Returns:
    (*b, h, w, 6) float32 in [0, 1]; rows h // 2 and below of the target are zero.
  """
  target, reference = to_unit(target), to_unit(reference)
  height = target.shape[-3]
  upper = (jnp.arange(height) < height // 2)[:, None, None]
  return jnp.concatenate([jnp.where(upper, target, 0), reference], -1)


def lower_half(frames: jax.Array) -> jax.Array:
  """The rows h // 2 and below: (*b, h, w, c) -> (*b, h - h // 2, w, c)."""
  return frames[..., frames.shape[-3] // 2 :, :, :]


def mouth(frames: jax.Array) -> jax.Array:
  """What is around the mouth, upright faces' lips and chin: (*b, s, s, c) -> (*b, s / 3, 2 s / 3, c), about."""
  height, width = frames.shape[-3:-1]
  return frames[..., 7 * height // 12 : 11 * height // 12, width // 6 : 5 * width // 6, :]


def mouth_at(frames: jax.Array, size: int) -> jax.Array:
  """The same of crops of another size: (*b, h, w, c) -> (*b, size // 3, size // 3 * 2, c), antialiased."""
  seen = mouth(frames)
  shape = (*seen.shape[:-3], size // 3, size // 3 * 2, seen.shape[-1])
  return seen if seen.shape == shape else jax.image.resize(seen, shape, 'linear', antialias=True)


def lower_half_at(frames: jax.Array, size: int) -> jax.Array:
  """The lower half at the resolution a network wants, antialiased: (*b, h, w, c) -> (*b, size // 2, size, c)."""
  half = lower_half(frames)
  shape = (*half.shape[:-3], size // 2, size, half.shape[-1])
  return half if half.shape == shape else jax.image.resize(half, shape, 'linear', antialias=True)
