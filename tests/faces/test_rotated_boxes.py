"""Heads that tilt: what is cropped, pasted, followed and written of them is as of upright ones."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from lpips_jax.dubbing.boxes import grown, read_boxes, write_boxes
from lpips_jax.faces import cropping, rotated_boxes, tilt
from lpips_jax.faces.boxes import ROLL_SLACK, Steady, smooth
from lpips_jax.faces.tracks import FaceTracker, track_faces
from lpips_jax.media.video_reader import VideoInfo

BOX = np.array([80.4, 60.6, 200.2, 220.9])
ROLLS = np.radians([-170, -90, -33, 12, 60, 90, 180])


edges, sizes, pads = some.floats(-500, 500), some.floats(1, 800), some.floats(-50, 400)
places = some.builds(
  lambda x, y, w, h, roll: np.array([x, y, x + w, y + h, roll]), edges, edges, sizes, sizes, some.floats(-7, 7)
)


def picture(roll=0.0, side=300):
  """A smooth picture, turned about its middle by a roll: a function of places, so that no pixel is resampled."""
  y, x = np.mgrid[:side, :side] + 0.5 - side / 2
  x, y = np.cos(roll) * x + np.sin(roll) * y, np.cos(roll) * y - np.sin(roll) * x
  waves = [120 + 60 * np.sin(x / 30 + 1), 120 + 60 * np.cos(y / 25), 110 + 40 * np.sin((x + y) / 20)]
  return np.stack(waves, -1).round().astype(np.uint8)


def turned(box, roll, side=300):
  """The place of a box of `picture()` in `picture(roll)`."""
  to = rotated_boxes.rotation(roll) @ (rotated_boxes.middle(box) - side / 2) + side / 2
  return np.append(rotated_boxes.moved(np.asarray(box), *(rotated_boxes.middle(box) - to)), roll)


@pytest.mark.parametrize('roll', ROLLS)
@pytest.mark.parametrize('size', [32, 96, 200])
def test_a_crop_of_a_turned_picture_is_that_of_the_upright_one(roll, size):
  upright, again = (cropping.crop(picture(r), turned(BOX, r), size).astype(int) for r in (0.0, roll))
  assert abs(again - upright).max() <= 2 and abs((again - upright).mean()) < 0.1


@pytest.mark.parametrize('roll', ROLLS)
@pytest.mark.parametrize('size', [32, 96, 256])
def test_a_paste_is_turned_with_the_head_and_stays_inside_the_lower_half_of_its_box(roll, size):
  noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
  face = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
  frame, place = picture(roll), turned(BOX, roll)
  pasted = cropping.paste(frame, place, face)
  y, x = np.nonzero((pasted != frame).any(-1))
  across, down = rotated_boxes.rotation(-roll) @ (np.stack([x, y]) + 0.5 - rotated_boxes.middle(place)[:, None])
  width, height = place[2:4] - place[:2]
  assert abs(across).max() <= width / 2 and -0.05 * height <= down.min() and down.max() <= height / 2
  upright = cropping.paste(picture(), BOX, face)
  seen, wanted = cropping.crop(pasted, place, 64).astype(int), cropping.crop(upright, BOX, 64).astype(int)
  assert abs(seen - wanted)[36:60, 8:56].mean() < 4 and abs(cropping.crop(frame, place, 64) - wanted).mean() > 5


def test_what_was_cropped_changes_nothing_where_it_is_pasted():
  for roll in ROLLS:
    frame, place = picture(roll), turned(BOX, roll)
    assert abs(cropping.paste(frame, place, cropping.crop(frame, place, 128)).astype(int) - frame).max() <= 2


def test_a_roll_of_nought_is_none():
  frame = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
  for box in ([20.3, 10.1, 80.9, 70.2], [-30.5, 40.0, 30.1, 120.7]):
    level, face = [*box, 0.0], frame[:32, :32]
    np.testing.assert_array_equal(cropping.crop(frame, level, 48), cropping.crop(frame, box, 48))
    np.testing.assert_array_equal(cropping.paste(frame, level, face), cropping.paste(frame, box, face))


def test_bounds_hold_the_corners_and_points_are_inside():
  place = np.array([10.0, 20.0, 30.0, 60.0, np.pi / 2])
  np.testing.assert_allclose(rotated_boxes.bounds(place, place[:4]), [0, 30, 40, 50], atol=1e-9)
  assert rotated_boxes.holds(place, 1, 49) and not rotated_boxes.holds(place, 20, 25)


@given(places, some.floats(0, 1), some.floats(0, 1))
def test_a_point_is_in_a_place_where_it_is_in_the_box_once_turned_back(place, across, down):
  box = place[:2] + np.array([across, down]) * (place[2:4] - place[:2])
  point = rotated_boxes.rotation(place[4]) @ (box - rotated_boxes.middle(place)) + rotated_boxes.middle(place)
  left, top, right, bottom = rotated_boxes.bounds(place, place[:4])
  assert left - 1e-6 <= point[0] <= right + 1e-6 and top - 1e-6 <= point[1] <= bottom + 1e-6
  if 0.001 < across < 0.999 and 0.001 < down < 0.999:
    assert rotated_boxes.holds(place, *point)
  outside = point + rotated_boxes.rotation(place[4]) @ (place[2:4] - place[:2]) * 1.001
  assert not rotated_boxes.holds(place, *outside)


@given(places, pads, pads, pads, pads)
def test_pads_leave_the_other_sides_where_they_were(place, left, top, right, bottom):
  wider = rotated_boxes.grown(place, left, top, right, bottom)
  np.testing.assert_allclose(wider[2:4] - wider[:2], place[2:4] - place[:2] + [left + right, top + bottom], atol=1e-6)
  corners = [
    rotated_boxes.rotation(place[4]) @ (corner - rotated_boxes.middle(one)) + rotated_boxes.middle(one)
    for one, corner in ((place, place[:2] - [left, top]), (wider, wider[:2]))
  ]
  np.testing.assert_allclose(*corners, atol=1e-6)
  np.testing.assert_allclose(rotated_boxes.grown(wider, -left, -top, -right, -bottom), place, atol=1e-6)


@given(some.floats(-100, 100), some.floats(-100, 100))
def test_a_roll_changes_by_whole_turns_to_be_near_another(roll, last):
  near = rotated_boxes.unwrapped(roll, last)
  assert abs(near - last) <= np.pi + 1e-9 and abs(np.exp(1j * near) - np.exp(1j * roll)) < 1e-9


def test_pads_are_added_as_the_head_sees_them():
  info = VideoInfo(300, 300, 25)
  wider = grown(np.array([100.0, 100.0, 140.0, 160.0, np.pi / 2]), (0, 10, 0, 0), info, 0)
  np.testing.assert_allclose(
    rotated_boxes.bounds(wider, wider[:4]), [80, 110, 150, 150], atol=1e-9
  )  # its chin is to the left


def test_angles_are_followed_past_half_a_turn():
  rolls = np.radians(160 + 2.0 * np.arange(40))
  detections = [np.array([[50, 50, 90, 100, 0.9, (roll + np.pi) % (2 * np.pi) - np.pi]], np.float32) for roll in rolls]
  (person,) = track_faces(detections, [], 25, (200, 200))
  assert abs(person.boxes[:, 4] - rolls).max() <= ROLL_SLACK + 1e-5
  assert abs(np.diff(person.boxes[:, 4])).max() < np.radians(2.1)


@pytest.mark.parametrize('off', np.radians([90, 179, 181]))
def test_one_misjudged_roll_turns_nobody(off):
  detections = [np.array([[50, 50, 90, 100, 0.9, 1 + 0.01 * k + off * (k == 10)]]) for k in range(20)]
  (person,) = track_faces(detections, [], 25, (200, 200))
  assert abs(person.boxes[:, 4] - 1 - 0.01 * np.arange(20)).max() <= ROLL_SLACK + 0.01


def test_rolls_are_smoothed_without_lag():
  boxes = np.column_stack([np.tile([0.0, 0, 10, 10], (30, 1)), np.linspace(0, 1, 30)])
  np.testing.assert_allclose(smooth(boxes, 25), boxes, atol=1e-12)
  np.testing.assert_array_equal(smooth(boxes[:, :4], 25), smooth(boxes, 25)[:, :4])


def test_a_head_at_rest_does_not_wobble_and_one_that_is_nearly_upright_is_upright():
  noise = np.random.default_rng(0).uniform(-0.5, 0.5, 50) * ROLL_SLACK
  for roll, held in [(0.5 * ROLL_SLACK, {0.0}), (1.0, None)]:
    steady = Steady()
    rolls = {float(steady(np.array([0.0, 0, 100, 100, roll + off]))[4]) for off in noise}
    assert rolls == held if held else len(rolls) == 1 and abs(rolls.pop() - roll) <= ROLL_SLACK


def test_detectors_that_know_no_roll_find_upright_heads():
  crowd = FaceTracker(25)
  (person,) = crowd.see(0, np.array([[10, 10, 20, 20, 0.9]]))
  np.testing.assert_array_equal(person.boxes[0], [10, 10, 20, 20, 0])


def test_boxes_are_read_and_written_with_and_without_a_roll(tmp_path):
  path = tmp_path / 'boxes.json'
  path.write_text('[[1, 2, 30, 40], null, [[1, 2, 30, 40, -90], [5, 6, 70, 80]], []]')
  frames = read_boxes(path)
  assert [[len(box) for box in boxes] for boxes in frames] == [[5], [], [5, 5], []]
  assert frames[0][0][4] == 0 and frames[2][0][4] == -np.pi / 2
  frames[2][0][4] += 4 * np.pi
  write_boxes(path, frames)
  assert json.loads(path.read_text()) == [[1, 2, 30, 40], None, [[1, 2, 30, 40, -90], [5, 6, 70, 80]], None]


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
def test_one_looks_again_until_a_face_is_level(degrees):
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
  assert find.looks == 1 if degrees == 0 else find.looks <= 2 + len(tilt.TURNS) + tilt.LOOKS


def test_the_reading_of_landmarks():
  upright = np.array([[-20, -20], [20, -20], [3, 0], [-15, 20], [15, 20]], float)
  for roll in np.radians([0, 10, -35, 90]):
    assert tilt.reading((upright @ rotated_boxes.rotation(roll).T)[None] + 100)[0] == pytest.approx(roll)
