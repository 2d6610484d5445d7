"""Poses: a known movement of a head is found and undone, and none is found where there is none."""

import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.faces.pose import UNMOVED, in_pose, likeness, pose_between


def drawn_crops(number=0, seconds=3.0, size=64):
  return np.stack(list(draw_clip(5, 'test', number, 0, seconds).crops(size)))


def moved_by(image, matrix):
  side = len(image)
  flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
  return cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def test_a_known_movement_is_found_and_undone():
  crops = drawn_crops(1, 0.2, 96)
  matrix = np.array([[0.98, 0.05, 1.5], [-0.05, 0.98, 4.0]])  # from the pixels of the moved to those of the still
  moved = moved_by(crops[0], matrix)
  pose = pose_between(moved, crops[0])
  inside = slice(12, 52), slice(12, 84)
  back = in_pose(crops[0], pose, 96)
  before = np.abs(moved[inside].astype(int) - crops[0][inside]).mean()
  after = np.abs(moved[inside].astype(int) - back[inside]).mean()
  assert after < 0.25 * before and after < 2
  larger = cv2.resize(crops[0], (192, 192), interpolation=cv2.INTER_CUBIC)  # poses do not depend on sizes
  np.testing.assert_allclose(pose_between(moved, larger), pose, atol=0.01)
  assert np.abs(in_pose(larger, pose, 96)[inside].astype(int) - back[inside]).mean() < 2


def test_what_has_no_pose_in_common_stays_as_it_is():
  rng = np.random.default_rng(0)
  noise = rng.integers(0, 256, (64, 64, 3), np.uint8)
  crops = drawn_crops(2, 0.2)
  np.testing.assert_array_equal(pose_between(noise, crops[0]), UNMOVED)
  np.testing.assert_array_equal(pose_between(np.zeros_like(noise), crops[0]), UNMOVED)
  assert likeness(crops[0], crops[1]) > 0.98 > likeness(noise, crops[0])
