"""Inputs of networks: face crops scaled, masked and halved in this one place, and the shapes of examples."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real, UInt8

from lpips_jax.core.constants import MEL_BANDS, MEL_WINDOW
from lpips_jax.layers.shapes import AnyArray

MOUTH_ROWS, MOUTH_COLUMNS = (0.47, 1.0), (0.12, 0.88)  # shares of a crop
LUMA = 0.299, 0.587, 0.114  # of red, green and blue (Rec. 601)
GREY_MEAN, GREY_DEVIATION = 0.421, 0.165  # of mouths in LRS3, as AV-HuBERT's and Auto-AVSR's weights expect


def example(*shape: int) -> jax.ShapeDtypeStruct:
  """The shape of one float32 example, with the axis of the batch: (1, *shape)."""
  return jax.ShapeDtypeStruct((1, *shape), jnp.float32)


def mel_example(steps: int = MEL_WINDOW) -> jax.ShapeDtypeStruct:
  """The shape of one window of speech, of a mel spectrogram or a phone track: (1, 80, steps)."""
  return example(MEL_BANDS, steps)


def to_unit(frames: Float[AnyArray, '*s'] | UInt8[AnyArray, '*s']) -> Float[AnyArray, '*s']:
  """uint8 in [0, 255] -> float32 in [0, 1]; floats pass through."""
  return frames.astype(jnp.float32) / 255 if frames.dtype == jnp.uint8 else frames


def generator_faces(
  target: Real[AnyArray, '*b h w 3'], reference: Real[AnyArray, '*b h w 3']
) -> Float[Array, '*b h w 6']:
  """Stacks the generator's view of a face: the target without its lower half, then the reference.

  Args:
    target: uint8, or float in [0, 1]: the crop to be given a new mouth.
    reference: the same shape, of either type: a crop that shows the person's mouth.

  Returns:
    float32 in [0, 1]; rows h // 2 and below of the target are zero.
  """
  target, reference = to_unit(target), to_unit(reference)
  height = target.shape[-3]
  upper = (jnp.arange(height) < height // 2)[:, None, None]
  return jnp.concatenate([jnp.where(upper, target, 0), reference], -1)


def lower_half(frames: Real[AnyArray, '*b h w c']) -> Real[AnyArray, '*b h-h//2 w c']:
  """The rows h // 2 and below."""
  return frames[..., frames.shape[-3] // 2 :, :, :]


def mouth(frames: Real[AnyArray, '*b h w c']) -> Real[AnyArray, '*b h2 w2 c']:
  """Lips, chin and what surrounds them in upright faces: (*b, s, s, c) -> (*b, s / 3, 2 s / 3, c), about."""
  height, width = frames.shape[-3:-1]
  return frames[..., 7 * height // 12 : 11 * height // 12, width // 6 : 5 * width // 6, :]


def mouth_at(frames: Float[AnyArray, '*b h w c'], size: int) -> Float[AnyArray, '*b {size}//3 {size}//3*2 c']:
  """The mouth as crops of `size` pixels show it, antialiased."""
  seen = mouth(frames)
  shape = (*seen.shape[:-3], size // 3, size // 3 * 2, seen.shape[-1])
  return seen if seen.shape == shape else jax.image.resize(seen, shape, 'linear', antialias=True)


def lower_half_at(frames: Float[AnyArray, '*b h w c'], size: int) -> Float[AnyArray, '*b {size}//2 {size} c']:
  """The lower half as crops of `size` pixels show it, antialiased."""
  half = lower_half(frames)
  shape = (*half.shape[:-3], size // 2, size, half.shape[-1])
  return half if half.shape == shape else jax.image.resize(half, shape, 'linear', antialias=True)


def mouth_crop(frames: Real[AnyArray, '*b h w 3'], size: int) -> Float[Array, '*b {size} {size}']:
  """The mouth in grey as lip readers and audio-visual experts see it, antialiased: a fixed box of a face crop.

  Released ones were trained on boxes that follow the face's landmarks; in crops as ours a mouth hardly moves, and a box
  that does not depend on the picture has a gradient and hides nothing.

  Args:
    frames: whole crops, uint8 or float in [0, 1].
    size: the side of the result; 88 for AV-HuBERT and Auto-AVSR.

  Returns:
    float32 of about mean 0 and deviation 1: (grey - 0.421) / 0.165, from -2.6 to 3.5.
  """
  height, width = frames.shape[-3:-1]
  (top, bottom), (left, right) = MOUTH_ROWS, MOUTH_COLUMNS
  box = to_unit(
    frames[..., round(top * height) : round(bottom * height), round(left * width) : round(right * width), :]
  )
  grey = (box * jnp.asarray(LUMA, box.dtype)).sum(-1)
  seen = jax.image.resize(grey, (*grey.shape[:-2], size, size), 'linear', antialias=True)
  return (seen - GREY_MEAN) / GREY_DEVIATION
