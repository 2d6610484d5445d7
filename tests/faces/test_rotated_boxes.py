"""Rotated boxes: bounds, points inside, growing and turning, against the same in upright coordinates."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from lpips_jax.faces import rotated_boxes

edges, sizes, pads = some.floats(-500, 500), some.floats(1, 800), some.floats(-50, 400)
boxes = some.builds(
  lambda x, y, w, h, roll: np.array([x, y, x + w, y + h, roll]), edges, edges, sizes, sizes, some.floats(-7, 7)
)


def test_bounds_hold_the_corners_and_points_are_inside():
  box = np.array([10.0, 20.0, 30.0, 60.0, np.pi / 2])
  np.testing.assert_allclose(rotated_boxes.bounds(box, box[:4]), [0, 30, 40, 50], atol=1e-9)
  assert rotated_boxes.holds(box, 1, 49) and not rotated_boxes.holds(box, 20, 25)


@given(boxes, some.floats(0, 1), some.floats(0, 1))
def test_a_turned_box_holds_the_points_that_it_held_upright(box, across, down):
  upright = box[:2] + np.array([across, down]) * (box[2:4] - box[:2])
  point = rotated_boxes.rotation(box[4]) @ (upright - rotated_boxes.middle(box)) + rotated_boxes.middle(box)
  left, top, right, bottom = rotated_boxes.bounds(box, box[:4])
  assert left - 1e-6 <= point[0] <= right + 1e-6 and top - 1e-6 <= point[1] <= bottom + 1e-6
  if 0.001 < across < 0.999 and 0.001 < down < 0.999:
    assert rotated_boxes.holds(box, *point)
  outside = point + rotated_boxes.rotation(box[4]) @ (box[2:4] - box[:2]) * 1.001
  assert not rotated_boxes.holds(box, *outside)


@given(boxes, pads, pads, pads, pads)
def test_pads_leave_the_other_sides_where_they_were(box, left, top, right, bottom):
  wider = rotated_boxes.grown(box, left, top, right, bottom)
  np.testing.assert_allclose(wider[2:4] - wider[:2], box[2:4] - box[:2] + [left + right, top + bottom], atol=1e-6)
  corners = [
    rotated_boxes.rotation(box[4]) @ (corner - rotated_boxes.middle(one)) + rotated_boxes.middle(one)
    for one, corner in ((box, box[:2] - [left, top]), (wider, wider[:2]))
  ]
  np.testing.assert_allclose(*corners, atol=1e-6)
  np.testing.assert_allclose(rotated_boxes.grown(wider, -left, -top, -right, -bottom), box, atol=1e-6)


@given(some.floats(-100, 100), some.floats(-100, 100))
def test_a_roll_is_unwrapped_by_whole_turns(roll, last):
  near = rotated_boxes.unwrapped(roll, last)
  assert abs(near - last) <= np.pi + 1e-9 and abs(np.exp(1j * near) - np.exp(1j * roll)) < 1e-9
