"""The duration of tuning is estimated from the pace of the base."""

import pytest
from networks import random_network

from lpips_jax.personalising import estimate


def test_the_estimate_follows_from_the_pace():
  assert estimate.describe(estimate.Pace(0.01, 0.5, 3.0), 240, 10.0) == (
    'about 0:02:45 from here: 0:00:30 to compile, 0:02:00 for 240 steps, 0:00:15 to score and dub'
  )
  unknown = estimate.describe(estimate.Pace(0.01, None), 240, 10.0)
  assert unknown == '0:00:15 to compile, score and dub, plus 240 steps, whose pace will be logged'


def test_a_step_takes_as_much_longer_than_a_batch_as_it_has_more_operations(monkeypatch):
  base, seconds = random_network('generator'), iter([5.0, 0.5, 0.25, 0.75])
  monkeypatch.setattr(estimate, '_time_call', lambda network, inputs: next(seconds))
  monkeypatch.setattr(estimate.step_program, 'count_flops', lambda config: 1e9)
  pace = estimate.measure(base, base.config)
  assert pace.frame == 0.25 / estimate.BATCH_SIZE and pace.compiling == 4.75
  monkeypatch.setattr(estimate.step_program, 'count_flops', lambda config: 2e9)
  seconds = iter([5.0, 0.5, 0.25, 0.75])
  assert estimate.measure(base, base.config).step == pytest.approx(2 * pace.step)
  monkeypatch.setattr(estimate.step_program, 'count_flops', lambda config: None)
  seconds = iter([5.0, 0.5, 0.25, 0.75])
  assert estimate.measure(base, base.config).step is None
