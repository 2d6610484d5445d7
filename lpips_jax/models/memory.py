"""The audio-lip memory: speech recalls what lips looked like when such speech was heard.

SyncTalkFace (Park et al., AAAI 2022, arXiv 2211.00924). Each slot pairs a key, which speech is compared with, and a
value, which is written from the lips of filmed frames. In use there is speech alone: its addresses, found by the keys,
recall a mixture of values. Cosines, softmax, divergence and recall are computed in float32.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from lpips_jax.layers.normalisation import unit_length
from lpips_jax.layers.precision import at_least_float32, full_precision
from lpips_jax.layers.shapes import AnyArray

SHARPNESS = 16.0  # kappa; the group's memory for lip reading has the same
LIPS = 'lips'  # of `beside`: the features of filmed lips, in training
ADDRESSES = 'addresses'  # of `beside`: a mixture of slots, in place of the one that speech finds


class AudioLipMemory(nn.Module):
  """Gives speech a code that has in it what such speech recalls of lips: (n, c) -> (n, c).

  The code is a linear map of [f_key; f_aud], f_key being the mixture of values that speech, f_aud, recalls by the keys.
  Beside lips there is a second code for the same speech, of [f_lip; f_aud], f_lip being the lips themselves. Then both
  come stacked, (2 n, c), those that speech alone makes first, and two losses are sown into the collection `losses`, a
  value for each window:

    store: |f_lip - f_val|^2, f_val being the mixture that lips recall by the values. It moves values alone.
    align: KL(A_lip || A_aud) of the addresses of lips and of speech. It moves keys and the speech encoder alone.
      Speech is that of the middle frame, whose 0.2 s are those of the window's five frames.

  A loss of the images moves keys and the speech encoder. Nothing but lips, stored, moves values.

  Attributes:
    slots: pairs of key and value.
    dtype: what the linear map computes in.
  """

  slots: int
  dtype: DTypeLike = jnp.float32

  @nn.compact
  def __call__(
    self,
    speech: Float[AnyArray, 'n c'],
    lips: Float[AnyArray, 'w c'] | None = None,
    addresses: Float[AnyArray, 'n s'] | None = None,
  ) -> Float[Array, 'm c']:
    """Returns the code of speech, m = n, or beside lips both codes, m = 2 n.

    Args:
      speech: f_aud; the frames of a window follow each other.
      lips: f_lip of windows of n / w frames, in training: a sync expert's embeddings, of unit length.
      addresses: used in place of those that the speech finds: see `draw_mixtures`.
    """
    keys, values = (_Slots(self.slots, speech.shape[-1], name=name)() for name in ('keys', 'values'))
    code = nn.Dense(speech.shape[-1], dtype=self.dtype, name='code')
    heard = log_addresses(speech, keys)
    self.sow('intermediates', ADDRESSES, jnp.exp(heard))
    found = jnp.exp(heard) if addresses is None else addresses
    by_speech = code(_side_by_side(recall(found, jax.lax.stop_gradient(values)), speech))
    if lips is None:
      return by_speech
    self.sow('losses', 'store', storing(lips, values))
    self.sow('losses', 'align', aligning(log_addresses(lips, values), _of_middle_frames(heard, len(lips))))
    of_frames = jnp.repeat(jnp.asarray(lips), len(speech) // len(lips), axis=0)
    return jnp.concatenate([by_speech, code(_side_by_side(of_frames, speech))])


class _Slots(nn.Module):
  """As many vectors; a `kernel`, so that `initialise.init_variables` draws them by the run's seed."""

  slots: int
  width: int

  @nn.compact
  def __call__(self) -> Float[Array, '{self.slots} {self.width}']:
    return self.param('kernel', nn.initializers.lecun_normal(), (self.slots, self.width), jnp.float32)


# ---- the memory as functions


@full_precision
def log_addresses(features: Float[AnyArray, 'n c'], slots: Float[AnyArray, 's c']) -> Float[Array, 'n s']:
  """Returns the logarithms of addresses: how much of each slot features recall, softmax(kappa cos)."""
  return jax.nn.log_softmax(SHARPNESS * (unit_length(features) @ unit_length(slots).T))


@full_precision
def recall(addresses: Float[AnyArray, 'n s'], values: Float[AnyArray, 's c']) -> Float[Array, 'n c']:
  """Returns mixtures of the values."""
  return jnp.asarray(addresses) @ values


def storing(lips: Float[AnyArray, 'w c'], values: Float[AnyArray, 's c']) -> Float[Array, ' w']:
  """Returns the squared distance of lips to what they recall; it has a gradient in the values alone."""
  lips = jax.lax.stop_gradient(at_least_float32(lips))
  return jnp.square(lips - recall(jnp.exp(log_addresses(lips, values)), values)).sum(-1)


def aligning(seen: Float[AnyArray, 'w s'], heard: Float[AnyArray, 'w s']) -> Float[Array, ' w']:
  """Returns KL(A_lip || A_aud) in nats, of logarithms of addresses; it has a gradient in `heard` alone."""
  seen = jax.lax.stop_gradient(jnp.asarray(seen))
  return jnp.sum(jnp.exp(seen) * (seen - heard), -1)


def _side_by_side(lips: AnyArray, speech: AnyArray) -> Array:
  """Lips beside speech, with channels as large: those of a vector of unit length are small."""
  return jnp.concatenate([(lips * lips.shape[-1] ** 0.5).astype(speech.dtype), speech], -1)


def _of_middle_frames(heard: Array, windows: int) -> Array:
  of_windows = heard.reshape(windows, -1, heard.shape[-1])
  return of_windows[:, of_windows.shape[1] // 2]


# ---- looking into the memory of a trained generator


def addresses_of(
  generator: nn.Module, variables: Mapping[str, Any], speech: Float[AnyArray, 'n 80 steps']
) -> Float[Array, 'n slots']:
  """Returns the addresses that a generator with a memory finds for windows of speech.

  Args:
    generator: the module.
    variables: its parameters and statistics.
    speech: windows of what it hears.
  """
  return _finding(generator)(variables, speech)


def draw_mixtures(
  generator: nn.Module,
  variables: Mapping[str, Any],
  faces: Float[AnyArray, 'n h w 6'],
  speech: Float[AnyArray, 'n 80 steps'],
  addresses: Float[AnyArray, 'n slots'],
) -> Float[Array, 'n h w 3']:
  """Returns the images that a generator with a memory makes of given mixtures of slots.

  Args:
    generator: the module.
    variables: its parameters and statistics.
    faces: as for the generator.
    speech: f_aud is still that of these windows.
    addresses: the share of each slot; rows add up to 1.
  """
  return _drawing(generator)(variables, faces, speech, addresses)


@cache
def _finding(generator: nn.Module) -> Callable[..., Array]:
  side = 2 ** len(cast(Any, generator).widths)

  @jax.jit
  def find(variables: Mapping[str, Any], speech: Array) -> Array:
    faces = jnp.zeros((len(speech), side, side, 6))  # no address depends on them: XLA leaves out what would look
    _, found = cast(Any, generator.apply(variables, faces, speech, mutable=['intermediates']))
    return found['intermediates']['memory'][ADDRESSES][0]

  return find


@cache
def _drawing(generator: nn.Module) -> Callable[..., Array]:
  @jax.jit
  def draw(variables: Mapping[str, Any], faces: Array, speech: Array, addresses: Array) -> Array:
    return cast(Array, generator.apply(variables, faces, speech, beside={ADDRESSES: addresses}))

  return draw
