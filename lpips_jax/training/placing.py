"""Generated windows in the clips that they are from, whose other frames stay as they were filmed."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from lpips_jax.core.constants import WINDOW_FRAMES
from lpips_jax.layers.shapes import AnyArray


def placed(
  clips: Float[AnyArray, 'c n h w 3'], windows: Float[AnyArray, 'b t h w 3'], starts: Int[AnyArray, ' b']
) -> Float[Array, 'c n h w 3']:
  """Returns the clips with windows in place of their own frames; gradients reach the windows alone (TalkLip).

  Args:
    clips: the frames of each clip.
    windows: as many of each clip as of any other, one clip's after the other's: b is a multiple of c.
    starts: the first frame of each window in its clip; of windows that overlap the last one is seen.
  """
  count = len(clips)
  of_clip = windows.reshape(count, -1, *windows.shape[1:])  # (c, k, t, h, w, 3)
  starts_of_clip = jnp.reshape(starts, (count, -1))
  result = jax.lax.stop_gradient(jnp.asarray(clips, windows.dtype))
  put = jax.vmap(lambda clip, window, start: jax.lax.dynamic_update_slice_in_dim(clip, window, start, 0))
  for k in range(of_clip.shape[1]):
    result = put(result, of_clip[:, k], starts_of_clip[:, k])
  return result


def windows_of(features: Float[AnyArray, 'c n d'], starts: Int[AnyArray, ' b']) -> Float[Array, 'b 5 d']:
  """Cuts the features of each window's frames out of those of its clip; arguments as for `placed`."""
  starts_of_clip = jnp.reshape(starts, (len(features), -1))
  cut = jax.vmap(lambda clip, start: jax.lax.dynamic_slice_in_dim(clip, start, WINDOW_FRAMES), (None, 0))
  return jax.vmap(cut)(jnp.asarray(features), starts_of_clip).reshape(-1, WINDOW_FRAMES, features.shape[-1])
