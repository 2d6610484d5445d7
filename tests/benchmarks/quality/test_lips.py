"""Scores of mouths, without the face mesh itself, which needs MediaPipe."""

import numpy as np
import pytest

from benchmarks.quality.lips import EYES, Dub, Film, aligned_by_eyes, correlation, score, sharpness_around

RNG = np.random.default_rng(0)


def film(openings, sharpness=1.0, off=0.0, rate=25.0):
  n = len(openings)
  return Film(rate, np.asarray(openings), np.full((n, 40, 2), off), np.full(n, sharpness))


def test_each_measure():
  filmed, other, spoken = RNG.random((3, 60))
  ours, theirs = film(filmed), film(other)
  found = score(
    [
      Dub('own', ours, film(0.5 * filmed, 0.7, off=0.03), None),
      Dub('a', ours, film(spoken), 'speech'),
      Dub('b', theirs, film(spoken[:50]), 'speech'),
      Dub('leaks', theirs, film(other), 'more speech'),
      Dub('at another rate', ours, film(filmed, rate=30.0), 'speech'),
    ]
  )
  assert (found['own'], found['most'], found['same']) == pytest.approx((1, 1, 1))
  own_films = correlation(spoken, filmed), correlation(spoken[:50], other[:50]), 1, 1
  assert found['film'] == pytest.approx(np.mean(own_films))
  assert (found['motion'], found['sharpness']) == pytest.approx((0.5, 0.7))
  assert found['lips'] == pytest.approx(3 * np.sqrt(2))


def test_frames_without_a_face_are_left_out_and_still_mouths_do_not_correlate():
  a = RNG.random(40)
  b = np.where(np.arange(40) % 3 == 0, np.nan, 2 * a)
  assert correlation(a, b) == pytest.approx(1)
  assert correlation(a, np.full(40, 0.2)) == 0 and correlation(a[:9], a) == 0


def test_position_size_and_tilt_of_a_head_make_no_difference():
  points = RNG.random((478, 2))
  turned = 3.1 * points @ np.array([[0.6, 0.8], [-0.8, 0.6]]) + [40, -7]
  np.testing.assert_allclose(aligned_by_eyes(turned), aligned_by_eyes(points), atol=1e-9)
  np.testing.assert_allclose(aligned_by_eyes(points)[EYES], [[-0.5, 0], [0.5, 0]], atol=1e-9)


def test_sharpness_counts_the_mouth_alone():
  frame = np.zeros((100, 200, 3), np.uint8)
  lips = np.array([[80.0, 50.0], [120.0, 50.0]])
  assert sharpness_around(frame, lips) == 0
  frame[:, :65], frame[:20] = 255, 255
  assert sharpness_around(frame, lips) == 0
  frame[50, 100] = 255
  assert sharpness_around(frame, lips) > 0
  assert np.isnan(sharpness_around(frame, np.full((2, 2), np.nan)))
