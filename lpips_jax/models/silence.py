"""Mouths shut by a generator: it is given silence, and a frame both as target, masked, and as its own reference.

A generator trained without a sync loss shuts the mouth of any frame when nothing is said. Another generator that is
shown such references learns from them whose mouth it makes, and nothing about when it opens (Yaman et al., arXiv
2307.09368).
"""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from lpips_jax.audio.condition import silent_window
from lpips_jax.layers.shapes import AnyArray
from lpips_jax.models.inputs import generator_faces


def shut_mouths(
  model: nn.Module, generate: Callable[[Array, Array], Array], faces: Real[AnyArray, 'n h w 3']
) -> Float[AnyArray, 'n h w 3']:
  """Returns the same faces with their mouths shut, in [0, 1].

  Args:
    model: the generator's module, which says in which form it hears speech.
    generate: that module with its variables: (faces (n, h, w, 6), windows of speech) -> images.
    faces: uint8, or float in [0, 1].
  """
  window = silent_window(model)
  return generate(generator_faces(faces, faces), jnp.broadcast_to(window, (faces.shape[0], *window.shape)))
