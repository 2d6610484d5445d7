"""The figures of the memory benchmark on addresses whose visemes are known."""

import numpy as np

from benchmarks.quality import memory
from benchmarks.quality.memory import Heard
from lpips_jax.audio.visemes import VISEMES

A, P, REST = (VISEMES.index(name) for name in ('a', 'p', 'rest'))


def test_slots_tell_what_the_other_half_has_taught_them():
  visemes = np.array([A, A, P, P] * 50)
  slots = np.array([3, 3, 1, 1] * 50)
  half = np.repeat([0, 1], 100)
  assert memory.share_told(slots, visemes, half) == 1
  assert memory.share_told(slots, np.where(half == 1, A + P - visemes, visemes), half) == 0  # the halves disagree
  assert memory.share_told(np.where(half == 1, 2, slots), np.full(200, A), half) == 1  # slots that only one half uses


def test_told_stands_beside_shuffled_with_and_without_rest():
  rng = np.random.default_rng(0)
  visemes = rng.choice([REST, A, P], 3000, p=[0.5, 0.25, 0.25])
  slots = np.where(visemes == REST, rng.integers(0, 3, 3000), visemes % 3)
  found = memory.tells(Heard(np.eye(3)[slots], visemes, np.arange(3000) // 100))
  assert found['spoken']['told'] == 1
  assert abs(found['spoken']['shuffled'] - 0.5) < 0.05 and abs(found['all']['shuffled'] - 0.5) < 0.05
  assert found['spoken']['times'] == found['spoken']['told'] / found['spoken']['shuffled']
  assert found['all']['told'] < found['spoken']['told']


def test_a_viseme_has_the_slot_that_it_recalls_more_of_than_others_do():
  addresses = np.array([[0.6, 0.4, 0.0], [0.7, 0.3, 0.0], [0.9, 0.0, 0.1], [0.9, 0.0, 0.1]])
  heard = Heard(addresses, np.array([A, A, P, P]), np.array([0, 0, 1, 1]))
  assert (memory.slot_of(heard, A), memory.slot_of(heard, P)) == (1, 0)
  shares = memory.shares_by_slot(heard)
  assert shares[0, A] == shares[0, P] == 0.5 and not shares[1:].any()
  assert memory.picture(shares).shape[2] == 3
