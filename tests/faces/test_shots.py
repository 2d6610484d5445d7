"""Shot detection: cuts are found, and flashes, fades and moving cameras are not taken for cuts."""

import numpy as np
from painter import patchwork

from lpips_jax.faces.shots import ChangeMeter, find_cuts


def changes(frames):
  meter = ChangeMeter()
  return [meter(frame) for frame in frames]


def test_cuts_are_found_where_they_are():
  frames = [patchwork(0)] * 7 + [patchwork(1)] * 9 + [patchwork(2)] * 5
  assert find_cuts(changes(frames)) == [7, 16]


def test_a_flash_a_fade_and_a_moving_camera_are_no_cuts():
  flash = [patchwork(0)] * 5 + [np.full_like(patchwork(0), 255)] + [patchwork(0) // 2 + 120] + [patchwork(0)] * 5
  fade = [(patchwork(0) * (1 - k / 20)).astype(np.uint8) for k in range(20)]
  wide = np.concatenate([patchwork(seed) for seed in range(6)], axis=1)
  pan = [wide[:, 8 * k : 8 * k + 96] for k in range(50)]
  assert max(changes(pan)) > 0.02  # it does move
  for frames in (flash, fade, pan):
    assert find_cuts(changes(frames)) == []
