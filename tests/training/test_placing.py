"""Windows go to their places in their clips, and gradients to the windows alone."""

import jax
import jax.numpy as jnp
import numpy as np

from lpips_jax.training.placing import placed, windows_of

RNG = np.random.default_rng(0)
CLIPS = RNG.random((2, 12, 4, 4, 3), np.float32)
WINDOWS = RNG.random((4, 5, 4, 4, 3), np.float32)  # two of each clip
STARTS = np.array([0, 7, 3, 6], np.int32)  # those of the second clip overlap


def test_each_window_lies_in_its_own_clip_and_the_rest_is_as_filmed():
  expected = CLIPS.copy()
  for k, start in enumerate(STARTS):
    expected[k // 2, start : start + 5] = WINDOWS[k]
  np.testing.assert_array_equal(placed(CLIPS, WINDOWS, STARTS), expected)


def test_gradients_reach_what_is_seen_of_the_windows_and_no_filmed_frame():
  clips, windows = jax.grad(lambda clips, windows: placed(clips, windows, STARTS).sum(), (0, 1))(CLIPS, WINDOWS)
  np.testing.assert_array_equal(clips, np.zeros_like(CLIPS))
  seen = np.ones_like(WINDOWS)
  seen[2, 3:] = 0  # hidden by the window after it
  np.testing.assert_array_equal(windows, seen)


def test_what_was_placed_is_found_again():
  starts = np.array([0, 7, 2, 7], np.int32)
  found = windows_of(placed(CLIPS, WINDOWS, starts).reshape(2, 12, -1), starts)
  np.testing.assert_array_equal(found, WINDOWS.reshape(4, 5, -1))


def test_windows_keep_their_dtype():
  assert placed(CLIPS, jnp.asarray(WINDOWS, jnp.bfloat16), STARTS).dtype == jnp.bfloat16
