"""The transformer over a clip's frames that AV-HuBERT and lip readers share: HuBERT's, which normalises first.

Hsu et al., arXiv 2106.07447, as fairseq has it with `layer_norm_first`: positions are told by a grouped convolution
whose output is added to the input (Baevski et al., arXiv 2006.11477); each block adds attention, then two dense layers
with the exact GELU, each to its normalised input (Xiong et al., arXiv 2002.04745).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from lpips_jax.layers.precision import at_least_float32
from lpips_jax.layers.shapes import AnyArray, Length


class Transformer(nn.Module):
  """frames (n, t, d) -> (n, t, d); what lies past a clip's end does not change what comes before it.

  Attributes:
    layers: number of blocks.
    heads: of each; they divide d.
    hidden: width between the dense layers of a block.
    position_kernel: frames that the positional convolution sees; 0 for none.
    position_groups: into which its channels are divided.
    dropout: share dropped in training, under the key `dropout`: of the input, of attention and of each branch.
    dtype: what is multiplied; statistics and softmax are float32 at least.
  """

  layers: int
  heads: int
  hidden: int
  position_kernel: int = 128
  position_groups: int = 16
  dropout: float = 0.0
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self,
    x: Float[AnyArray, 'n t d'],
    length: Int[AnyArray, ' n'] | None = None,
    train: bool = False,
    output_layer: int | None = None,
  ) -> Float[Array, 'n t d']:
    """Returns the features of all frames.

    Args:
      x: one vector a frame.
      length: frames that are real; the rest is padding. None if all are.
      train: whether to drop.
      output_layer: the number of blocks after which features are taken, as they are; None: after all, normalised.
    """
    real = within(length, x.shape[1])
    frames = jnp.asarray(x, self.dtype)
    y = frames if real is None else jnp.where(real[..., None], frames, 0)
    if self.position_kernel:
      y = y + PositionalConv(self.position_kernel, self.position_groups, self.dtype, name='position')(y)
    y = nn.Dropout(self.dropout, deterministic=not train)(y)
    for number in range(self.layers if output_layer is None else output_layer):
      y = Block(self.heads, self.hidden, self.dropout, self.dtype, name=f'block_{number}')(y, real, train)
    return y if output_layer is not None else layer_norm(self.dtype, 'norm')(y)


class PositionalConv(nn.Module):
  """GELU of a grouped convolution over time: (n, t, d), same. Even kernels see one frame more before than after.

  Its kernel is a plain one; fairseq's, a direction and a length for each of its taps, is multiplied out in conversion.
  """

  kernel: int = 128
  groups: int = 16
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(self, x: Float[AnyArray, 'n t d']) -> Float[Array, 'n t d']:
    width = x.shape[-1]
    before = self.kernel // 2
    convolution = nn.Conv(
      width,
      (self.kernel,),
      padding=((before, self.kernel - 1 - before),),
      feature_group_count=self.groups,
      kernel_init=nn.initializers.normal((4 / (self.kernel * width)) ** 0.5),
      dtype=self.dtype,
      name='conv',
    )
    return nn.gelu(convolution(x), approximate=False)


class Block(nn.Module):
  """x + attention(norm(x)), then y + dense(GELU(dense(norm(y)))): (n, t, d), same."""

  heads: int
  hidden: int
  dropout: float = 0.0
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[AnyArray, 'n t d'], real: Bool[AnyArray, 'n t'] | None, train: bool
  ) -> Float[Array, 'n t d']:
    drop = nn.Dropout(self.dropout, deterministic=not train)
    y = layer_norm(self.dtype, 'attention_norm')(x)
    x = x + drop(Attention(self.heads, self.dropout, self.dtype, name='attention')(y, real, train))
    y = layer_norm(self.dtype, 'norm')(x)
    y = drop(nn.gelu(nn.Dense(self.hidden, dtype=self.dtype, name='expand')(y), approximate=False))
    return x + drop(nn.Dense(x.shape[-1], dtype=self.dtype, name='reduce')(y))


class Attention(nn.Module):
  """softmax(q k / sqrt(d / heads)) v of a clip's frames among themselves: (n, t, d), same.

  Padding is not attended to. A clip that is nothing but padding attends to all of it alike, so that nothing is NaN.
  """

  heads: int
  dropout: float = 0.0
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[AnyArray, 'n t d'], real: Bool[AnyArray, 'n t'] | None, train: bool
  ) -> Float[Array, 'n t d']:
    n, t, width = x.shape
    shape = n, t, self.heads, width // self.heads
    query, key, value = (nn.Dense(width, dtype=self.dtype, name=name)(x) for name in ('query', 'key', 'value'))
    query = query * shape[-1] ** -0.5
    logits = at_least_float32(jnp.einsum('nqhd,nkhd->nhqk', query.reshape(shape), key.reshape(shape)))
    if real is not None:
      logits = jnp.where(real[:, None, None], logits, jnp.finfo(logits.dtype).min)
    weights = jax.nn.softmax(logits).astype(self.dtype)
    weights = nn.Dropout(self.dropout, deterministic=not train)(weights)
    seen = jnp.einsum('nhqk,nkhd->nqhd', weights, value.reshape(shape))
    return nn.Dense(width, dtype=self.dtype, name='out')(seen.reshape(x.shape))


def layer_norm(dtype: DTypeLike, name: str | None = None) -> nn.LayerNorm:
  """Layer normalisation as PyTorch has it; its statistics are float32, and the variance that of differences."""
  return nn.LayerNorm(epsilon=1e-5, use_fast_variance=False, dtype=dtype, name=name)


def within(length: Int[AnyArray, ' n'] | None, frames: Length) -> Bool[Array, 'n {frames}'] | None:
  """Marks the frames of each clip that are real; None if all are."""
  return None if length is None else jnp.arange(frames) < jnp.asarray(length)[:, None]
