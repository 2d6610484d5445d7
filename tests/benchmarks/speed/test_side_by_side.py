"""Contenders are measured in turns, and summarised by ratios."""

import time

import numpy as np
import pytest

from benchmarks.speed import side_by_side, workers
from benchmarks.speed.side_by_side import OURS, Case, Measured
from benchmarks.speed.workers import Contender, Side


def measured(group, batch_size, **medians):
  rates = {name: [0.9 * rate, rate, 1.3 * rate] for name, rate in medians.items()}
  return Measured(Case(group, batch_size, batch_size, None), rates=rates)


def test_the_best_batch_size_of_each_counts():
  results = [
    measured('a', 1, ours=10, eager_float32=8, released_recipe=2),
    measured('a', 2, ours=12, eager_float32=6, released_recipe=3),
    measured('b', 1, ours=6, eager_float32=9, released_recipe=1),
  ]
  figures = side_by_side.summary(results)
  assert figures['groups']['a']['best']['eager_float32'] == {'median': 8, 'low': 7.2, 'high': 10.4, 'batch_size': 1}
  assert figures['groups']['a']['ratios'] == {'eager_float32': 1.5, 'released_recipe': 4.0}
  assert figures['ratio'] == pytest.approx((1.5 * 6 / 9) ** 0.5)  # over the fastest row of each
  assert figures['ratios'] == pytest.approx({'released_recipe': 24**0.5, 'eager_float32': 1.0})
  shown = side_by_side.table(figures | {'unit': 'frames/s'})
  assert (
    '| a, ours | 2 | 12 | 10.8 to 15.6 |  |' in shown and '| b, eager_float32 | 1 | 9 | 8.1 to 11.7 | 0.67 x |' in shown
  )


def test_contenders_beside_count_for_no_ratio():
  case = Case('a', 1, 1, None, beside=('eager_float32_in_our_engine',))
  rates = {OURS: [6.0], 'eager_float32': [2.0], 'eager_float32_in_our_engine': [4.0]}
  figures = side_by_side.summary([Measured(case, rates=rates)])
  assert figures['ratio'] == pytest.approx(3.0) and figures['ratios'] == pytest.approx({'eager_float32': 3.0})
  assert figures['groups']['a']['ratios']['eager_float32_in_our_engine'] == 1.5


def test_a_row_without_memory_is_left_out():
  figures = side_by_side.summary([measured('a', 1, ours=10, eager_float32=5), measured('b', 1, ours=10)])
  assert figures['ratio'] == 2.0 and figures['groups']['b']['ratios'] == {}


class Here:
  """A worker in this process."""

  def __init__(self, contenders):
    self._side = Side('cpu', 'cpu', '0', contenders)

  def outputs(self, name):
    return workers.without_traceback(workers.outputs, self._side, name)

  def seconds(self, name, repeats):
    return workers.without_traceback(workers.seconds, self._side, name, repeats)


def test_turns_alternate_and_other_outputs_are_noticed():
  called = []

  def contender(name, value, seconds):
    def run(repeats):
      called.append(name)
      time.sleep(repeats * seconds)

    return Contender(lambda: {'x': np.array([1.0, value])}, run)

  contenders = {OURS: contender(OURS, 2.0, 0.002), 'eager_float32': contender('eager_float32', 2.01, 0.004)}
  held = dict.fromkeys(contenders, Here(contenders))
  result = Measured(Case('a', 1, 1, None))
  side_by_side._check(result, held, 'cpu', {'float32': 0.01, 'bf16': 1.0})
  assert result.differences == pytest.approx({'eager_float32': 0.005})
  side_by_side._measure(result, held, rounds=2, seconds=0.0)
  assert called[4:] == [OURS] * 2 + ['eager_float32'] * 4 + [OURS] * 2  # each turn begins with an untimed run
  assert result.rates.keys() == held.keys() and all(len(rates) == 2 for rates in result.rates.values())
  assert 0 < min(result.rates[OURS]) <= max(result.rates[OURS]) < 500
  side_by_side._check(result, held, 'cpu', {'float32': 0.001, 'bf16': 1.0})
  assert result.failed == {'eager_float32': '0.005 from ours: not the same work'}
  side_by_side._measure(result, held, rounds=1, seconds=0.0)
  assert list(result.rates) == [OURS]


def test_failures_are_recorded():
  def full(repeats):
    raise RuntimeError('CUDA out of memory. Tried to allocate 2 GiB')

  def broken(repeats):
    raise RuntimeError('something else')

  contenders = {OURS: Contender(dict, lambda repeats: None)}
  contenders |= {name: Contender(dict, run) for name, run in (('full', full), ('broken', broken))}
  result = Measured(Case('a', 1, 1, None))
  side_by_side._measure(result, dict.fromkeys(contenders, Here(contenders)), rounds=2, seconds=0.0)
  assert result.failed == {'full': 'out of memory', 'broken': 'RuntimeError: something else'}
  assert list(result.rates) == [OURS] and len(result.rates[OURS]) == 2


@pytest.mark.parametrize('at', [0, 1])
def test_nan_is_not_the_same_work(at):
  expected = {'x': np.ones(2), 'y': np.ones(2)}
  found = {'x': np.full(2, 1.01), 'y': np.full(2, 1.0)}
  assert side_by_side.difference(expected, found) == pytest.approx(0.01)
  found['xy'[at]][0] = np.nan
  assert np.isnan(side_by_side.difference(expected, found))


def test_the_better_compile_mode_counts():
  results = [measured('a', 1, ours=10, eager_float32=4, compiled_bf16=5), measured('a', 1, ours=9, compiled_bf16=8)]
  results[1].compile_mode = 'reduce-overhead'
  figures = side_by_side.summary(results)
  assert figures['groups']['a']['best']['compiled_bf16']['compile_mode'] == 'reduce-overhead'
  assert figures['ratios'] == pytest.approx({'eager_float32': 2.5, 'compiled_bf16': 1.25})
