"""Padding of whole clips."""

import numpy as np
import pytest

from lpips_jax.evaluation.whole_clips import length_of, padded


@pytest.mark.parametrize(('frames', 'whole'), [(1, 25), (25, 25), (26, 50)])
def test_clips_are_padded_with_zeros_to_whole_seconds(frames, whole):
  clip = np.ones((frames, 2, 3), np.float32)
  made = padded(clip)
  assert made.shape == (1, whole, 2, 3) and made.dtype == np.float32
  assert made.sum() == clip.sum() and (made[0, :frames] == 1).all()
  assert length_of(clip).tolist() == [frames] and length_of(clip).dtype == np.int32
