"""Pauses are found, and what is no pause is not."""

from fractions import Fraction

import numpy as np
import pytest

from lpips_jax.dubbing.pauses import find_pauses, is_pause


def test_pauses_are_those_that_last():
  rng = np.random.default_rng(0)
  level = np.repeat([1, 0.001, 1, 0.001, 1, 0.001], [8000, 16000, 8000, 3200, 8000, 8000])
  pauses = find_pauses(0.2 * level * rng.standard_normal(len(level)))
  begin, end = np.flatnonzero(np.diff(pauses.astype(int)))[:2] + 1
  assert abs(begin - 62) <= 1 and abs(end - 138) <= 1  # lips close after the sound, and part before it
  assert not pauses[150:230].any()  # a fifth of a second is no pause
  rests = is_pause(pauses, [Fraction(1), Fraction(1, 4), Fraction(100)])
  assert rests.tolist() == [True, False, True]


@pytest.mark.parametrize(('decibels', 'offset'), [(-50, 0), (0, 0), (-10, 0.05), (-45, -0.02)])
def test_neither_level_nor_offset_matters(decibels, offset):
  noise = np.random.default_rng(0).standard_normal(40000) / 5
  samples = np.repeat([1, 0.003, 1], [8000, 16000, 16000]) * noise
  pauses = find_pauses(10 ** (decibels / 20) * samples + offset)
  np.testing.assert_array_equal(pauses, find_pauses(samples))
  assert pauses[70:130].all()


def test_silence_is_one_pause_and_noise_is_none():
  assert find_pauses(np.zeros(16000)).all()
  assert not find_pauses(0.1 * np.random.default_rng(0).standard_normal(16000)).any()
