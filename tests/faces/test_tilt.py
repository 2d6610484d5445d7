"""Tilted heads: a detector that prefers upright faces is shown turned pictures until it sees one."""

import cv2
import numpy as np
import pytest

from lpips_jax.faces import rotated_boxes, tilt


class Upright:
  """Finds a drawn face as YuNet does, with landmarks that understate how much it is turned."""

  def __init__(self):
    self.looks = 0

  def __call__(self, picture):
    self.looks += 1
    marks = np.argwhere(picture[..., 0] > 200)[:, ::-1] + 0.5
    if len(marks) < 3:
      return np.zeros((0, 6), np.float32)
    chin = np.argwhere(picture[..., 1] > 200)[:, ::-1] + 0.5
    down = chin.mean(0) - marks.mean(0)
    roll = np.arctan2(-down[0], down[1])
    half = np.linalg.norm(down)
    x, y = (chin.mean(0) + marks.mean(0)) / 2
    score = 0.95 - 0.2 * abs(roll) / np.pi
    return np.array([[x - half, y - half, x + half, y + half, score, 0.6 * np.sin(roll)]], np.float32)


@pytest.mark.parametrize('degrees', [0, 20, 45, 75, -90, 130, 180])
def test_a_face_is_looked_at_again_until_it_is_level(degrees):
  """A brow in red and a chin in green are all that the detector sees; the larger the tilt, the less sure it is."""
  roll = np.radians(degrees)
  frame = np.zeros((400, 400, 3), np.uint8)
  middle, axis = np.array([210.0, 190.0]), rotated_boxes.rotation(roll) @ [0, 30.0]
  for channel, end in ((0, middle - axis), (1, middle + axis)):
    spot = np.zeros((400, 400), np.uint8)
    cv2.circle(spot, np.rint(16 * (end - 0.5)).astype(int).tolist(), 16 * 8, 255, -1, shift=4)
    frame[..., channel] = spot
  find = Upright()
  (face,) = tilt.find_tilted(find, frame)
  assert abs(rotated_boxes.unwrapped(face[5] - roll, 0)) < np.radians(8)
  np.testing.assert_allclose(rotated_boxes.middle(face), middle, atol=2)
  assert find.looks == 1 if degrees == 0 else find.looks <= 2 + len(tilt.COARSE_TURNS) + tilt.MAX_LOOKS


def test_tilt_is_read_off_landmarks():
  upright = np.array([[-20, -20], [20, -20], [3, 0], [-15, 20], [15, 20]], float)
  for roll in np.radians([0, 10, -35, 90]):
    assert tilt.read_tilt((upright @ rotated_boxes.rotation(roll).T)[None] + 100)[0] == pytest.approx(roll)
