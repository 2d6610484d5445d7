"""Following one person: whom, across which gaps, and how smoothly."""

import numpy as np
import pytest

from lpips_jax.media.track import overlap, smooth, track

FRAME = (640, 480)


def face(x, y, side=100.0):
  return [x - side / 2, y - side / 2, x + side / 2, y + side / 2, 0.9]


def detections(*frames):
  return [np.array(faces, np.float64).reshape(-1, 5) for faces in frames]


def centres(boxes):
  return (boxes[:, :2] + boxes[:, 2:]) / 2


def test_overlap():
  np.testing.assert_allclose(
    overlap([0, 0, 10, 10], np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])), [1, 1 / 3, 0]
  )


def test_a_steady_movement_is_not_altered():
  frames = [[face(100 + 3 * k, 200 - k, 100 + k)] for k in range(30)]
  boxes = track(detections(*frames), 25, FRAME)
  np.testing.assert_allclose(boxes, [f[0][:4] for f in frames], atol=1e-9)


def test_jitter_is_smoothed_without_lag():
  rng = np.random.default_rng(0)
  truth = np.array([[320 + 40 * np.sin(k / 12), 240] for k in range(200)])
  noisy = [[face(*(place + rng.normal(0, 1, 2)))] for place in truth]
  error = centres(track(detections(*noisy), 25, FRAME)) - truth
  assert error.std() < 0.5
  lags = [
    np.square(centres(track(detections(*noisy), 25, FRAME))[10:-10, 0] - truth[10 + d : 190 + d, 0]).mean()
    for d in (-1, 0, 1)
  ]
  assert np.argmin(lags) == 1


def test_short_gaps_are_bridged_and_long_ones_are_not():
  frames = [[face(100 + 2 * k, 200)] for k in range(90)]
  for k in (*range(20, 32), *range(50, 63)):  # 12 frames are less than half a second, 13 are more
    frames[k] = []
  boxes = track(detections(*frames), 25, FRAME)
  missing = np.flatnonzero(np.isnan(boxes).any(1))
  np.testing.assert_array_equal(missing, np.arange(50, 63))
  np.testing.assert_allclose(centres(boxes)[26], [152, 200], atol=1e-6)


def test_the_large_central_face_is_followed_past_a_larger_one_that_comes_later():
  small, main = face(60, 60, 60), face(330, 240, 120)
  frames = [[small, main]] * 10 + [[face(500, 240, 200), small, main]] * 40
  np.testing.assert_allclose(centres(track(detections(*frames), 25, FRAME)), np.tile([330, 240], (50, 1)))


def test_a_face_that_is_found_again_within_a_second_is_the_same_person():
  frames = (
    [[face(200, 240, 120), face(450, 240, 100)]] * 20 + [[face(450, 240, 100)]] * 20 + [[face(210, 240, 120)]] * 20
  )
  boxes = track(detections(*frames), 25, FRAME)
  assert np.isnan(boxes[20:40]).all()
  assert (centres(boxes[40:])[:, 0] < 220).all()


def test_after_a_cut_the_new_face_is_followed_from_its_first_frame():
  frames = [[face(150, 200)]] * 30 + [[face(500, 260)]] * 60
  boxes = track(detections(*frames), 25, FRAME)
  np.testing.assert_allclose(centres(boxes)[:30], np.tile([150, 200], (30, 1)))
  np.testing.assert_allclose(centres(boxes)[30:], np.tile([500, 260], (60, 1)))


def test_what_flashes_up_for_two_frames_is_no_face():
  frames = [[]] * 20 + [[face(100, 100)]] * 2 + [[]] * 20
  assert np.isnan(track(detections(*frames), 25, FRAME)).all()


def test_one_still_frame_is_enough_and_none_is_none():
  np.testing.assert_allclose(track(detections([face(100, 100)]), 25, FRAME), [[50, 50, 150, 150]])
  assert np.isnan(track(detections([]), 25, FRAME)).all()
  assert track([], 25, FRAME).shape == (0, 4)


@pytest.mark.parametrize('length', [1, 2, 3, 50])
def test_smoothing_keeps_what_stands_still(length):
  boxes = np.tile([10.0, 20.0, 30.0, 50.0], (length, 1))
  np.testing.assert_allclose(smooth(boxes, 25), boxes)
