"""Face tracks: people who cross, leave and come back, and heads that roll."""

import numpy as np
import pytest

from lpips_jax.faces.boxes import ROLL_SLACK
from lpips_jax.faces.tracks import FaceTracker, track_faces

SIZE = 96, 64
NOBODY = np.zeros((0, 5), np.float32)


def test_two_people_who_cross_stay_two():
  def box(x):
    return [x, 10, x + 20, 34, 0.9]

  both = [np.array([box(2 * k), box(100 - 2 * k)], np.float32)[:: 1 if k % 2 else -1] for k in range(20)]
  people = track_faces(both, [], 25, (200, 64))
  assert sorted(round(person.boxes[0, 0]) for person in people) == [0, 100]
  assert sorted(round(person.boxes[-1, 0]) for person in people) == [38, 62]


def test_short_absences_are_bridged_and_long_ones_end_a_track():
  face = np.array([[30, 10, 50, 34, 0.9]], np.float32)
  gone_shortly = [face] * 10 + [NOBODY] * 6 + [None] * 2 + [face] * 10
  [person] = track_faces(gone_shortly, [], 25, SIZE)
  assert len(person.boxes) == 28
  gone_long = [face] * 10 + [NOBODY] * 20 + [face] * 10
  people = track_faces(gone_long, [], 25, SIZE)
  assert [(person.first, len(person.boxes)) for person in people] == [(0, 10), (30, 10)]


def test_the_larger_and_more_central_is_the_more_prominent():
  faces = np.array([[2, 2, 12, 12, 0.9], [40, 20, 60, 40, 0.9]], np.float32)
  small, large = track_faces([faces] * 5, [], 25, SIZE)
  assert large.boxes[0, 0] > 30 and large.prominence > small.prominence


def test_angles_are_followed_past_half_a_turn():
  rolls = np.radians(160 + 2.0 * np.arange(40))
  detections = [np.array([[50, 50, 90, 100, 0.9, (roll + np.pi) % (2 * np.pi) - np.pi]], np.float32) for roll in rolls]
  (person,) = track_faces(detections, [], 25, (200, 200))
  assert abs(person.boxes[:, 4] - rolls).max() <= ROLL_SLACK + 1e-5
  assert abs(np.diff(person.boxes[:, 4])).max() < np.radians(2.1)


@pytest.mark.parametrize('off', np.radians([90, 179, 181]))
def test_one_wrong_roll_turns_nobody(off):
  detections = [np.array([[50, 50, 90, 100, 0.9, 1 + 0.01 * k + off * (k == 10)]]) for k in range(20)]
  (person,) = track_faces(detections, [], 25, (200, 200))
  assert abs(person.boxes[:, 4] - 1 - 0.01 * np.arange(20)).max() <= ROLL_SLACK + 0.01


def test_detectors_that_know_no_roll_find_upright_heads():
  crowd = FaceTracker(25)
  (person,) = crowd.see(0, np.array([[10, 10, 20, 20, 0.9]]))
  np.testing.assert_array_equal(person.boxes[0], [10, 10, 20, 20, 0])
