"""Results of a sweep: states, the best evaluation, the order of runs, and the spread over seeds."""

import json
import math

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.training.sweeping.results import Criterion, read_results, thinned
from lpips_jax.training.sweeping.sweeps import Sweep


def log(workdir, lines, steps=100, saved=0):
  """Leaves what a run would have; `lines` are (step, kind, scalars)."""
  (workdir / 'checkpoint' / str(saved)).mkdir(parents=True)
  (workdir / 'checkpoint' / 'config.json').write_text(json.dumps({'task': 'generator', 'steps': steps}))
  text = ''.join(json.dumps({'step': step, 'kind': kind} | scalars) + '\n' for step, kind, scalars in lines)
  (workdir / 'metrics.jsonl').write_text(text)


def sweep_of(**runs):
  keys = tuple(next(iter(runs.values())))
  return Sweep('configs/lrs2.py', {}, keys, runs)


def evaluated(*losses, **more):
  return [(50 * k, 'eval', {'loss': loss} | more) for k, loss in enumerate(losses, start=1)]


def test_runs_are_ordered_by_their_best_evaluation(tmp_path):
  sweep = sweep_of(**{name: {'optimizer.b1': name} for name in 'abcde'})
  log(tmp_path / 'a', [(99, 'train', {'loss': 0.1}), *evaluated(0.9, 0.4)], saved=100)
  log(tmp_path / 'b', evaluated(0.3, 0.8), saved=50)
  log(tmp_path / 'c', [(30, 'train', {'loss': 0.2})])
  (tmp_path / 'c' / 'not_finite_31_process1.json').touch()
  (tmp_path / 'b' / 'not_finite_60.json').touch()  # it has come farther since
  log(tmp_path / 'd', evaluated(math.nan, 0.35), saved=100, steps=120)
  found = read_results(sweep, tmp_path)
  assert [run.name for run in found.runs] == ['b', 'd', 'a', 'c', 'e']
  assert [run.state for run in found.runs] == ['unfinished', 'unfinished', 'finished', 'not finite', 'not started']
  assert [run.best for run in found.runs] == [50, 100, 100, None, None]
  assert [run.step for run in found.runs] == [100, 100, 100, 30, 0]
  assert [run.steps for run in found.runs] == [100, 120, 100, 100, None]
  assert (found.runs[0].at_best('loss'), found.runs[0].at_last('loss')) == (0.3, 0.8)
  assert found.runs[3].at_best('loss') is found.runs[3].at_last('loss') is None
  assert str(found.criterion) == 'least loss' and not found.spreads and not found.remark


def test_ranking_decides_before_the_loss(tmp_path):
  sweep = sweep_of(a={'seed': '0'}, b={'seed': '1'}, c={'seed': '2'})
  log(tmp_path / 'a', evaluated(0.1, ranking=0.7, known=0.0))
  log(tmp_path / 'b', [*evaluated(0.5, ranking=0.9), *evaluated(math.nan, 0.4, ranking=0.9)[1:]])
  log(tmp_path / 'c', evaluated(0.45, ranking=0.9))
  found = read_results(sweep, tmp_path)
  assert [run.name for run in found.runs] == ['b', 'c', 'a'] and found.runs[0].best == 100
  assert found.metrics == ['ranking', 'loss', 'known'] and str(found.criterion) == 'greatest ranking'
  by_loss = read_results(sweep, tmp_path, Criterion('loss', False))
  assert [run.name for run in by_loss.runs] == ['a', 'b', 'c'] and by_loss.metrics[0] == 'loss'
  with pytest.raises(UserError, match=r"no run has evaluated 'psnr': there are loss, ranking, known"):
    read_results(sweep, tmp_path, Criterion('psnr', True))


def test_losses_of_different_coefficients_come_with_a_warning(tmp_path):
  sweep = sweep_of(a={'losses.sync': '0.01', 'losses.triplet': '0.0'})
  log(tmp_path / 'a', evaluated(0.1, psnr=30.0))
  assert 'The loss is a sum that losses.sync, losses.triplet weighs' in read_results(sweep, tmp_path).remark
  assert not read_results(sweep, tmp_path, Criterion('psnr', True)).remark


def test_means_and_spreads_are_over_seeds(tmp_path):
  names = [(b1, seed) for b1 in ('0.5', '0.9') for seed in ('0', '1', '2')]
  sweep = sweep_of(**{f'{b1}-{seed}': {'optimizer.b1': b1, 'seed': seed} for b1, seed in names})
  for name, loss in (('0.5-0', 3.0), ('0.5-1', 5.0), ('0.9-2', 1.0)):
    log(tmp_path / name, evaluated(9.0, loss, psnr=loss))
  log(tmp_path / '0.5-2', evaluated(math.nan))
  best, other = read_results(sweep, tmp_path).spreads
  assert best.values == {'optimizer.b1': '0.9'} and (len(best.results), best.runs) == (1, 3)
  assert best.mean('loss') == 1.0 and best.deviation('loss') is None
  assert other.mean('loss') == other.mean('psnr') == 4.0 and other.deviation('loss') == pytest.approx(2**0.5)
  assert other.runs == 3 and other.mean('unknown') is None


def test_long_curves_become_means():
  assert thinned({}, 4) == ([], [])
  assert thinned({30: 3.0, 10: 1.0, 20: math.nan}, 4) == ([10.0, 30.0], [1.0, 3.0])
  steps, values = thinned({step: 2.0 * step for step in range(10)}, 4)
  assert steps == [1.0, 4.0, 7.0, 9.0] and values == [2.0, 8.0, 14.0, 18.0]
