"""References: a mouth at rest is found, and brought to the pose of a head that has moved."""

import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.faces import rest
from lpips_jax.faces.pose import UNMOVED, in_pose, likeness, pose_between
from lpips_jax.faces.rest import references_for, rest_frame, shut_frames


def _clip(number=0, seconds=3.0, size=64):
  drawn = draw_clip(5, 'test', number, 0, seconds)
  return drawn, np.stack(list(drawn.crops(size)))


def _moved(image, matrix):
  side = len(image)
  flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
  return cv2.warpAffine(image, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def test_shut_frames_are_the_least_open_ones():
  drawn, crops = _clip()
  shut = shut_frames(crops)
  assert len(shut) == round(0.2 * len(crops))
  assert drawn.mouth_opening[shut].mean() < 0.25 * drawn.mouth_opening.mean()
  assert rest_frame(crops) in shut
  blurred = crops.copy()
  blurred[rest_frame(crops)] = cv2.GaussianBlur(crops[rest_frame(crops)], (0, 0), 2)
  assert rest_frame(blurred) != rest_frame(crops)  # a sharp one is preferred


def test_lips_that_are_pressed_together_are_no_mouth_at_rest(monkeypatch):
  """They may seem to be shut better than any others, and show a generator no lips that it could part."""
  drawn, crops = _clip()
  pressed = np.arange(0, len(crops), 20)
  above, below = crops[pressed, 41:42, 16:50], crops[pressed, 52:53, 16:50]
  down = np.linspace(0, 1, 12)[None, :, None, None]
  crops[pressed, 41:53, 16:50] = (1 - down) * above + down * below  # skin in place of lips
  opening = drawn.mouth_opening.copy()
  opening[pressed] = -1
  monkeypatch.setattr(rest, 'mouth_opening', lambda crops: opening)
  assert np.isin(shut_frames(crops)[: len(pressed)], pressed).all()
  assert rest_frame(crops) not in pressed


def test_a_known_movement_is_found_and_undone():
  _, crops = _clip(1, 0.2, 96)
  matrix = np.array([[0.98, 0.05, 1.5], [-0.05, 0.98, 4.0]])  # from the pixels of the moved to those of the still
  moved = _moved(crops[0], matrix)
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
  _, crops = _clip(2, 0.2)
  np.testing.assert_array_equal(pose_between(noise, crops[0]), UNMOVED)
  np.testing.assert_array_equal(pose_between(np.zeros_like(noise), crops[0]), UNMOVED)
  assert likeness(crops[0], crops[1]) > 0.98 > likeness(noise, crops[0])


def test_references_follow_the_head_and_not_the_mouth():
  drawn, crops = _clip(3)
  still = crops[rest_frame(crops)]
  shown = references_for(crops, still)
  upper = slice(0, 36)
  unmoved = np.abs(crops[:, upper].astype(int) - still[upper]).mean()
  assert np.abs(crops[:, upper].astype(int) - shown[:, upper]).mean() < 0.6 * unmoved
  wide = int(drawn.mouth_opening.argmax())
  mouth = slice(42, 58), slice(22, 42)
  assert np.abs(crops[wide][mouth].astype(int) - shown[wide][mouth]).mean() > 10  # it stays shut
