"""Mouths at rest: pauses are found, and so is the face whose mouth is shut."""

from fractions import Fraction

import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.dubbing.silence import ShutMouths, find_pauses, is_pause, shut_mouth
from lpips_jax.media.faces import crop


def test_pauses_are_those_that_last():
  rng = np.random.default_rng(0)
  level = np.repeat([1, 0.001, 1, 0.001, 1, 0.001], [8000, 16000, 8000, 3200, 8000, 8000])
  pauses = find_pauses(0.2 * level * rng.standard_normal(len(level)))
  begin, end = np.flatnonzero(np.diff(pauses.astype(int)))[:2] + 1
  assert abs(begin - 62) <= 1 and abs(end - 138) <= 1  # lips close after the sound, and part before it
  assert not pauses[150:230].any()  # a fifth of a second is no pause
  rests = is_pause(pauses, [Fraction(1), Fraction(1, 4), Fraction(100)])
  assert rests.tolist() == [True, False, True]


def test_silence_is_one_pause_and_noise_is_none():
  assert find_pauses(np.zeros(16000)).all()
  assert not find_pauses(0.1 * np.random.default_rng(0).standard_normal(16000)).any()


def test_the_shut_mouth_is_among_the_most_shut():
  drawn = draw_clip(3, 'test', 0, 0, 4.0)
  mouths = ShutMouths()
  for box, frame in zip(drawn.boxes, drawn.scene(), strict=True):
    [person] = mouths.see([np.asarray(box, float)], [crop(frame, box, 96)])
  found = shut_mouth(person)
  candidates = [crop(frame, box, 96) for box, frame in zip(drawn.boxes, drawn.scene(), strict=True)]
  [which] = [k for k, candidate in enumerate(candidates) if np.array_equal(candidate, found)]
  assert drawn.mouth_opening[which] <= 0.1 * drawn.mouth_opening.max()


def test_people_are_told_apart_by_place_and_by_looks():
  rng = np.random.default_rng(0)
  one, other = (rng.integers(0, 256, (12, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1) for _ in range(2))
  here, there = np.array([0.0, 0, 50, 50]), np.array([200.0, 0, 250, 50])
  mouths = ShutMouths()
  first, second = mouths.see([here, there], [one, other])
  assert mouths.see([there, here], [other, one]) == [second, first]
  [after_a_cut] = mouths.see([here], [other])
  assert after_a_cut is not first
