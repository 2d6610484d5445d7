"""Mouths that a generator shuts: what it makes of a frame, masked, and of the frame itself as reference, in silence.

A generator that was trained without a sync loss shuts the mouth of any frame when nothing is said. What another one is
then shown of a person tells whose mouth it makes, and nothing of when it opens (Yaman et al., arXiv 2307.09368).
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from lpips_jax.audio.mel import WINDOW
from lpips_jax.audio.phones import silence
from lpips_jax.models.inputs import generator_faces


def shut(model: nn.Module, generate: Callable[[jax.Array, jax.Array], jax.Array], faces: jax.Array) -> jax.Array:
  """Returns the same faces with their mouths shut, (n, h, w, 3) in [0, 1].

  Args:
    model: the generator's module, which says what it hears.
    generate: that module with its variables: (faces (n, h, w, 6), windows of speech) -> images.
    faces: (n, h, w, 3) uint8, or float in [0, 1].
  """
  window = silence(getattr(model, 'speech', 'mel'), WINDOW).T
  return generate(generator_faces(faces, faces), jnp.broadcast_to(window, (faces.shape[0], *window.shape)))
