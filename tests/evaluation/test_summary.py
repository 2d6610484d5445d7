"""Means over clips, their intervals, and the table."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import summary
from lpips_jax.evaluation.measures import with_readers
from lpips_jax.evaluation.scoring import Score, ScoreCache

RNG = np.random.default_rng(0)
FEATURES = 16
EXPERT_SCORES = {'expert_accuracy': 0.9, 'expert_ranking': 0.95, 'offset_correct': 1.0}


def test_intervals_cover_the_mean_as_often_as_they_say():
  draws = RNG.normal(3, 2, (400, 50))
  covered = [low <= 3 <= high for low, high in map(summary.interval, draws)]
  assert 0.90 <= np.mean(covered) <= 0.98
  assert summary.interval([4.0]) == (4, 4)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
  st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=60),
  st.integers(1, 60 * summary.BOOTSTRAP_DRAWS),
)
def test_blocks_of_draws_are_the_same_draws(values, at_once):
  """Whatever is held in memory at once, the interval is that of its definition."""
  drawn = np.random.default_rng(0).integers(len(values), size=(summary.BOOTSTRAP_DRAWS, len(values)))
  expected = np.percentile(np.array(values)[drawn].mean(1), [2.5, 97.5])
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(summary, 'MAX_DRAWN_AT_ONCE', at_once)
    assert summary.interval(values) == tuple(expected)


def test_intervals_of_many_clips_take_little_memory():
  values = RNG.standard_normal(20_000)
  tracemalloc.start()
  summary.interval(values)
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 40 << 20  # at once it would be 640 MB


@pytest.fixture
def found(tmp_path):
  score_cache = ScoreCache(tmp_path)
  same = RNG.standard_normal((20, FEATURES)).astype(np.float32)
  for k in range(6):
    scores = {'lower_half_psnr': 20.0 + k, 'sync_confidence': 0.1 * k}
    score_cache.add(Score('g', 'generated', f'c{k}', scores), same + 0.5)
    score_cache.add(Score('o', 'other_audio', f'c{k}', {'lower_half_psnr': 10.0}))
    score_cache.add(
      Score('t', 'target', f'c{k}', {'sync_confidence': 0.5, 'lower_half_psnr': None} | EXPERT_SCORES), same
    )
  keys = {'generated': 'g', 'other_audio': 'o', 'target': 't'}
  scores = score_cache.select(keys, [f'c{k}' for k in range(6)])
  return summary.summarise(list(keys), scores, score_cache, {'lse_d': UserError('needs syncnet', 'syncnet')})


def test_tables_and_results_have_the_means(found):
  assert found.systems['generated']['lower_half_psnr'].mean == pytest.approx(22.5)
  assert 'lower_half_psnr' not in found.systems['target']  # equal frames have none
  # Features that differ by a constant: the means alone are apart.
  assert found.systems['generated']['fid'].mean == pytest.approx(0.25 * FEATURES, rel=1e-5)
  assert 'fid' not in found.systems['other_audio'] and 'fid' not in found.systems['target']
  named = summary.flat_means(found)
  assert named['lower_half_psnr'] == 22.5 and named['lower_half_psnr_other_audio'] == 10
  assert named['expert_accuracy'] == pytest.approx(0.9) and named['sync_confidence_target'] == 0.5
  head, rows = summary.table(found)
  assert head[2:] == ['PSNR, dB ↑', 'FID ↓', 'sync confidence ↑'] and rows[1][3:] == ['', '']
  assert summary.table(found, ['fid'])[0] == ['system', 'clips', 'FID ↓']
  assert json.loads(json.dumps(summary.as_json(found)))['missing'] == {'lse_d': 'needs --syncnet'}
  assert 'remarks' not in summary.as_json(found) and 'edits of all' not in summary.markdown(found)
  assert 'LSE-D: not measured, needs --syncnet.' in summary.markdown(found)


def test_errors_are_all_edits_over_all_that_is_said(tmp_path):
  """A long clip counts more than a short one, in the mean and in its interval."""
  score_cache, columns = ScoreCache(tmp_path), with_readers([('', 'sounds'), ('second', 'visemes')])
  edits, said = RNG.integers(0, 9, 30), RNG.integers(5, 40, 30)
  for k in range(30):
    scores = {'phoneme_error': edits[k] / said[k], 'phoneme_count': int(said[k]), 'mouth_motion': 1.0 * k}
    score_cache.add(Score('g', 'generated', f'c{k}', scores))
  score_cache.add(Score('g', 'generated', 'nothing is said', {'mouth_motion': 2.0}))
  names = [*(f'c{k}' for k in range(30)), 'nothing is said']
  missing = {'viseme_error_by_second': UserError('needs lips')}
  found = summary.summarise(
    ['generated'], score_cache.select({'generated': 'g'}, names), score_cache, missing, columns, ['It is so.']
  )
  error = found.systems['generated']['phoneme_error']
  assert error.mean == pytest.approx(edits.sum() / said.sum()) and error.clips == 30
  drawn = np.random.default_rng(0).integers(30, size=(summary.BOOTSTRAP_DRAWS, 30))
  expected = np.percentile(edits[drawn].sum(1) / said[drawn].sum(1), [2.5, 97.5])
  assert [error.low, error.high] == pytest.approx(expected.tolist())
  assert found.systems['generated']['mouth_motion'].mean == pytest.approx((sum(range(30)) + 2) / 31)
  assert 'phoneme_count' not in found.systems['generated']
  head, _ = summary.table(found)
  assert head[2:] == ['mouth, motion', 'phoneme error ↓']  # and no empty column
  text = summary.markdown(found)
  assert 'edits of all clips over all that' in text and 'It is so.' in text
  assert 'viseme error, second: not measured, needs lips.' in text
  assert summary.as_json(found)['remarks'] == ['It is so.']
  assert summary.flat_means(found)['phoneme_error'] == error.mean


def test_the_audio_visual_expert_is_judged_on_filmed_clips(tmp_path):
  score_cache = ScoreCache(tmp_path)
  score_cache.add(Score('t', 'target', 'c', {'avs_u': 0.5, 'av_ranking': 0.93}))
  found = summary.summarise(['target'], score_cache.select({'target': 't'}, ['c']), score_cache, {})
  assert summary.flat_means(found) == {'avs_u_target': 0.5, 'av_ranking': 0.93}
  assert 'in 93.0%' in summary.markdown(found) and summary.table(found)[0] == ['system', 'clips', 'AVS_u ↑']
