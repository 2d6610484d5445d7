"""Turn taking: the best path is the best, and voices show where turns change."""

import itertools

import numpy as np

from lpips_jax.dubbing.turn_taking import best_turns, likeliest_path


def test_no_other_path_is_better():
  evidence = np.random.default_rng(0).normal(0, 1, (3, 6))

  def worth(path):
    return sum(evidence[state, k] for k, state in enumerate(path)) - 1.5 * np.count_nonzero(np.diff(path))

  best = max(itertools.product(range(3), repeat=6), key=worth)
  path, found = likeliest_path(evidence, 1.5)
  assert tuple(path) == best and abs(found - worth(best)) < 1e-9


def interview(people, turns, strength, seed=0):
  """Returns weak evidence of who speaks, voices, and the truth, for turns of these lengths."""
  rng = np.random.default_rng(seed)
  truth = np.concatenate([np.full(length, k % people) for k, length in enumerate(turns)])
  evidence = rng.normal(0, 0.5, (people, 2, len(truth)))
  evidence[truth, 1, np.arange(len(truth))] += strength
  voice = 2 * rng.normal(0, 1, (people, 6))[truth] + rng.normal(0, 1, (len(truth), 6))
  return evidence, voice, truth


def test_voices_show_where_turns_change():
  evidence, voice, truth = interview(3, [60, 45, 80, 50, 70, 55], 0.25)
  spoken = np.ones(len(truth), bool)
  assert np.mean(best_turns(evidence, voice, spoken) == truth) > 0.98
  assert np.mean(best_turns(evidence, np.zeros_like(voice), spoken) == truth) < 0.97


def test_lips_decide_whose_voice_it_is():
  evidence, voice, truth = interview(2, [60, 60, 60, 60], 0.3)
  spoken = np.ones(len(truth), bool)
  assert np.mean(best_turns(evidence[::-1], voice, spoken) == 1 - truth) > 0.98


def test_in_a_pause_the_last_speaker_stays():
  evidence, voice, truth = interview(2, [60, 60], 0.8)
  pause = slice(60, 80)
  evidence[:, :, pause] = 0
  spoken = np.ones(len(truth), bool)
  spoken[pause] = False
  found = best_turns(evidence, voice, spoken)
  assert np.count_nonzero(np.diff(found)) == 1 and found[50] == 0 and found[90] == 1


def test_where_nothing_tells_people_apart_it_is_the_first():
  assert (best_turns(np.zeros((3, 2, 50)), np.zeros((50, 4)), np.ones(50, bool)) == 0).all()
  assert (best_turns(np.zeros((2, 2, 50)), np.zeros((50, 4)), np.zeros(50, bool)) == 0).all()
