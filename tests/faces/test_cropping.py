"""Crop and paste: where a pixel of a crop comes from, and what a paste may change."""

import cv2
import numpy as np
import pytest

from lpips_jax.faces import rotated_boxes
from lpips_jax.faces.cropping import crop, paste

BOX = np.array([80.4, 60.6, 200.2, 220.9])
ROLLS = np.radians([-170, -90, -33, 12, 60, 90, 180])


def slopes(height=240, width=250):
  """A picture whose red is the number of its column and whose green is that of its row."""
  y, x = np.mgrid[:height, :width]
  return np.stack([x, y, np.full_like(x, 90)], -1).astype(np.uint8)


@pytest.mark.parametrize('box', [(40.3, 50.7, 200.9, 210.2), (40.3, 50.7, 90, 80), (10.5, 10.25, 240, 230)])
@pytest.mark.parametrize('size', [96, 31])
def test_crop_samples_at_pixel_centres(box, size):
  left, top, right, bottom = box
  middle = (np.arange(size) + 0.5) / size
  cropped = crop(slopes(), box, size).astype(float)
  off_x = cropped[..., 0].mean(0) - (left + middle * (right - left) - 0.5)
  off_y = cropped[..., 1].mean(1) - (top + middle * (bottom - top) - 0.5)
  for off in (off_x, off_y):
    assert abs(off).max() < 0.55, 'rounded to whole levels'
    assert abs(off.mean()) < 0.06, 'and not displaced'


def test_a_whole_pixel_box_is_copied():
  frame = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
  np.testing.assert_array_equal(crop(frame, (7, 5, 27, 25), 20), frame[5:25, 7:27])


def test_a_tenth_of_a_pixel_shows():
  edge = np.zeros((20, 20, 3), np.uint8)
  edge[:, 10:] = 200
  moved = crop(edge, (0.1, 0, 20.1, 20), 20)[10, :, 0].astype(float) - crop(edge, (0, 0, 20, 20), 20)[10, :, 0]
  assert moved.sum() == pytest.approx(20, abs=4)


def test_shrinking_does_not_alias():
  checkers = (np.indices((240, 240)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, -1)
  shrunk = crop(checkers, (0.5, 0.5, 239.5, 239.5), 32)
  assert abs(shrunk.astype(float) - 127.5).max() < 12


def test_outside_the_frame_its_edge_is_repeated():
  frame = slopes(60, 80)
  cropped = crop(frame, (-40, -40, 40, 40), 40)
  np.testing.assert_array_equal(cropped[:20, :20], np.broadcast_to(frame[0, 0], (20, 20, 3)))


@pytest.mark.parametrize('box', [(10, 10, 10, 30), (10, 30, 30, 20), (np.nan, 0, 10, 10), (0, 0, np.inf, 10)])
def test_boxes_without_pixels_are_refused(box):
  with pytest.raises(ValueError, match='box'):
    crop(slopes(), box, 8)
  with pytest.raises(ValueError, match='box'):
    paste(slopes(), box, np.zeros((8, 8, 3), np.uint8))


def smooth_picture():
  y, x = np.mgrid[:240, :320] / 60
  return np.stack([120 + 60 * np.sin(x), 120 + 60 * np.cos(y), 110 + 40 * np.sin(x + y)], -1).round().astype(np.uint8)


def test_pasting_what_was_cropped_changes_nothing():
  frame, box = smooth_picture(), (80.4, 40.6, 240.2, 220.9)
  change = paste(frame, box, crop(frame, box, 96)).astype(int) - frame
  assert abs(change).max() <= 2
  assert abs(change.mean()) < 0.05


@pytest.mark.parametrize('size', [32, 96, 256])
def test_a_paste_stays_inside_the_lower_half_of_its_box(size):
  frame, box = smooth_picture(), (80.4, 40.6, 240.2, 220.9)
  noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
  pasted = paste(frame, box, noise)
  changed = np.flatnonzero((pasted != frame).any(-1).any(1)), np.flatnonzero((pasted != frame).any(-1).any(0))
  middle = (40.6 + 220.9) / 2
  assert changed[0].min() >= middle - 8 and changed[0].max() <= 220
  assert changed[1].min() >= 80 and changed[1].max() <= 240
  assert abs(pasted[170:190, 140:180].astype(int) - frame[170:190, 140:180]).mean() > 20, 'the mouth is the new one'


def test_a_colour_cast_is_removed():
  frame, box = smooth_picture(), (80.4, 40.6, 240.2, 220.9)
  cast = np.clip(crop(frame, box, 96) + np.array([20, -15, 25]), 0, 255).astype(np.uint8)
  assert abs(paste(frame, box, cast).astype(int) - frame).max() <= 3


def test_boxes_may_reach_out_of_the_frame():
  frame, face = smooth_picture(), np.zeros((32, 32, 3), np.uint8)
  for box in [(-90, 150, 60, 290), (250, 100, 400, 300), (-90, -90, 30, 30)]:
    assert paste(frame, box, face).shape == frame.shape
  np.testing.assert_array_equal(paste(frame, (-300, -300, -100, -100), face), frame)


def test_the_given_frame_is_left_alone():
  frame = smooth_picture()
  before = frame.copy()
  paste(frame, (80, 40, 240, 220), np.zeros((32, 32, 3), np.uint8))
  np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize('roll', [0.0, 0.35])
@pytest.mark.parametrize('width', [90.4, 120.7])
def test_a_face_put_back_is_as_sharp_as_it_was(width, roll):
  noise = np.random.default_rng(0).uniform(0, 255, (200, 200, 3))
  frame = np.rint(cv2.GaussianBlur(noise, (0, 0), 0.9)).astype(np.uint8)
  box = np.array([40.3, 30.6, 40.3 + width, 151.2, roll])
  face = crop(frame, box, 121, cv2.INTER_CUBIC)
  left, top = int(40.3 + 0.4 * width), 110  # around the mouth, where only the face is seen
  mouths = [picture[top : top + 20, left : left + 20] for picture in (paste(frame, box, face), frame)]
  back, filmed = (cv2.Laplacian(mouth.astype(np.float32), cv2.CV_32F).var() for mouth in mouths)
  assert 0.75 < back / filmed < 1.15


def picture(roll=0.0, side=300):
  """A smooth picture, turned about its middle by a roll: drawn at each roll, so that no pixel is resampled."""
  y, x = np.mgrid[:side, :side] + 0.5 - side / 2
  x, y = np.cos(roll) * x + np.sin(roll) * y, np.cos(roll) * y - np.sin(roll) * x
  waves = [120 + 60 * np.sin(x / 30 + 1), 120 + 60 * np.cos(y / 25), 110 + 40 * np.sin((x + y) / 20)]
  return np.stack(waves, -1).round().astype(np.uint8)


def turned(box, roll, side=300):
  """Returns where a box of `picture()` is in `picture(roll)`."""
  to = rotated_boxes.rotation(roll) @ (rotated_boxes.middle(box) - side / 2) + side / 2
  return np.append(rotated_boxes.moved(np.asarray(box), *(rotated_boxes.middle(box) - to)), roll)


@pytest.mark.parametrize('roll', ROLLS)
@pytest.mark.parametrize('size', [32, 96, 200])
def test_a_crop_of_a_turned_picture_is_that_of_the_upright_one(roll, size):
  upright, again = (crop(picture(r), turned(BOX, r), size).astype(int) for r in (0.0, roll))
  assert abs(again - upright).max() <= 2 and abs((again - upright).mean()) < 0.1


@pytest.mark.parametrize('roll', ROLLS)
@pytest.mark.parametrize('size', [32, 96, 256])
def test_a_paste_is_turned_with_the_head_and_stays_inside_the_lower_half_of_its_box(roll, size):
  noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
  face = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
  frame, box = picture(roll), turned(BOX, roll)
  pasted = paste(frame, box, face)
  y, x = np.nonzero((pasted != frame).any(-1))
  across, down = rotated_boxes.rotation(-roll) @ (np.stack([x, y]) + 0.5 - rotated_boxes.middle(box)[:, None])
  width, height = box[2:4] - box[:2]
  assert abs(across).max() <= width / 2 and -0.05 * height <= down.min() and down.max() <= height / 2
  upright = paste(picture(), BOX, face)
  seen, wanted = crop(pasted, box, 64).astype(int), crop(upright, BOX, 64).astype(int)
  assert abs(seen - wanted)[36:60, 8:56].mean() < 4 and abs(crop(frame, box, 64) - wanted).mean() > 5


def test_pasting_what_was_cropped_turned_changes_nothing():
  for roll in ROLLS:
    frame, box = picture(roll), turned(BOX, roll)
    assert abs(paste(frame, box, crop(frame, box, 128)).astype(int) - frame).max() <= 2


def test_a_roll_of_zero_changes_nothing():
  frame = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
  for box in ([20.3, 10.1, 80.9, 70.2], [-30.5, 40.0, 30.1, 120.7]):
    level, face = [*box, 0.0], frame[:32, :32]
    np.testing.assert_array_equal(crop(frame, level, 48), crop(frame, box, 48))
    np.testing.assert_array_equal(paste(frame, level, face), paste(frame, box, face))
