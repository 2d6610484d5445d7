"""What was found is kept, summed up and shown."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tqdm import tqdm

from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import scoring, summary
from lpips_jax.evaluation.candidates import Candidate
from lpips_jax.evaluation.report import page
from lpips_jax.evaluation.scoring import ROWS, Score, ScoreCache, WorkItem, key_of, score

RNG = np.random.default_rng(0)
FEATURES = 16
KEYS = {'generated': 'g', 'target': 't'}


class Scorers:
  """Notes whom it has judged."""

  def __init__(self):
    self.judged = []

  def score(self, candidate):
    self.judged.append(float(candidate.mel[0, 0]))
    return {'lower_half_psnr': float(candidate.mel[0, 0]), 'perceptual': None}

  def features(self, candidate):
    return RNG.standard_normal((3, FEATURES)).astype(np.float32)


def entry(number, frames=10):
  candidate = Candidate(np.zeros((frames, 8, 8, 3), np.uint8), np.full((1, 80), number, np.float32))
  return WorkItem(f'clip{number}', tuple(KEYS), lambda: dict.fromkeys(KEYS, lambda: candidate))


def damaged():
  raise UserError('the file is no video')


def test_a_second_run_does_what_is_left(tmp_path):
  scorers = Scorers()
  score([entry(1), entry(2)], KEYS, scorers, ScoreCache(tmp_path), progress=False)
  assert scorers.judged == [1, 1, 2, 2]
  with (tmp_path / ROWS).open('a') as file:
    file.write('{"key": "g", "system": "gener\n')  # cut short
    file.write(json.dumps({'key': ['g'], 'system': 'generated', 'clip': 'clip1', 'scores': {}}) + '\n')
    file.write(json.dumps({'key': 'g', 'system': 'generated', 'clip': 'clip1', 'scores': [1]}) + '\n')
  score_cache = ScoreCache(tmp_path)
  score([entry(1), entry(2), entry(3)], KEYS, scorers, score_cache, progress=False)
  assert scorers.judged == [1, 1, 2, 2, 3, 3]
  score([entry(1)], KEYS | {'generated': 'retrained'}, scorers, ScoreCache(tmp_path), progress=False)
  assert scorers.judged[6:] == [1]
  rows = score_cache.rows(KEYS, ['clip1', 'clip2', 'clip3'])
  assert [(row.clip, row.system) for row in rows] == [(f'clip{n}', system) for n in (1, 2, 3) for system in KEYS]
  assert all(features.shape == (3, FEATURES) for features in score_cache.features(rows))
  assert [json.loads(line)['clip'] for line in (tmp_path / ROWS).read_text().splitlines()].count('clip3') == 2


def test_damaged_features_say_what_to_delete(tmp_path):
  score_cache = ScoreCache(tmp_path)
  score([entry(1)], KEYS, Scorers(), score_cache, progress=False)
  for path in tmp_path.rglob('*.npy'):
    path.write_bytes(path.read_bytes()[:80])
  with pytest.raises(UserError, match=r'clips\.jsonl and give the command again'):
    list(score_cache.features(score_cache.rows(KEYS, ['clip1'])))


def test_what_cannot_be_scored_says_why_and_is_tried_again(tmp_path):
  score_cache = ScoreCache(tmp_path)
  bad = WorkItem('bad', tuple(KEYS), damaged)
  score([bad, entry(1), entry(2, frames=7)], KEYS, Scorers(), score_cache, progress=False)
  found = summary.summarise(list(KEYS), score_cache.rows(KEYS, ['bad', 'clip1', 'clip2']), score_cache, {})
  assert found.scored == {'generated': 1, 'target': 1}
  assert found.skipped['generated'] == {'the file is no video': 1, 'shorter than 8 frames': 1}
  assert any('1 clips were not scored: the file is no video' in note for note in summary.notes(found))
  mended = WorkItem('bad', tuple(KEYS), entry(5).read)
  score([mended], KEYS, Scorers(), score_cache, progress=False)
  assert all(not row.skipped for row in score_cache.rows(KEYS, ['bad']))


def test_nothing_scored_is_an_error(tmp_path):
  score_cache = ScoreCache(tmp_path)
  score([WorkItem('bad', tuple(KEYS), damaged)], KEYS, Scorers(), score_cache, progress=False)
  with pytest.raises(UserError, match='none of the 1 clips could be scored: the file is no video'):
    summary.summarise(list(KEYS), score_cache.rows(KEYS, ['bad']), score_cache, {})


def test_progress_is_shown_on_a_terminal_unless_it_is_not_wanted(tmp_path, monkeypatch):
  bars = []
  monkeypatch.setattr(scoring, 'tqdm', lambda **options: bars.append(options['disable']) or tqdm(disable=True))
  score([], KEYS, Scorers(), ScoreCache(tmp_path))
  score([], KEYS, Scorers(), ScoreCache(tmp_path), progress=False)
  assert bars == [None, True]  # None: where it is not a terminal


def test_other_conditions_have_other_keys():
  assert key_of(size=96, split='test') == key_of(split='test', size=96) != key_of(size=128, split='test')


def test_intervals_cover_the_mean_as_often_as_they_say():
  draws = RNG.normal(3, 2, (400, 50))
  covered = [low <= 3 <= high for low, high in map(summary.interval, draws)]
  assert 0.90 <= np.mean(covered) <= 0.98
  assert summary.interval([4.0]) == (4, 4)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
  st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=60), st.integers(1, 60 * summary.DRAWS)
)
def test_blocks_of_draws_are_the_same_draws(values, at_once):
  """Whatever is held in memory at once, the interval is that of its definition."""
  drawn = np.random.default_rng(0).integers(len(values), size=(summary.DRAWS, len(values)))
  expected = np.percentile(np.array(values)[drawn].mean(1), [2.5, 97.5])
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(summary, 'AT_ONCE', at_once)
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
    score_cache.add(Score('t', 'target', f'c{k}', {'sync_confidence': 0.5, 'expert_accuracy': 0.9} | KINDS), same)
  keys = {'generated': 'g', 'other_audio': 'o', 'target': 't'}
  rows = score_cache.rows(keys, [f'c{k}' for k in range(6)])
  return summary.summarise(list(keys), rows, score_cache, {'lse_d': 'needs --syncnet'}), rows


KINDS = {'expert_ranking': 0.95, 'offset_correct': 1.0, 'lower_half_psnr': None}


def test_summary(found):
  found, _ = found
  assert found.systems['generated']['lower_half_psnr'].mean == pytest.approx(22.5)
  assert 'lower_half_psnr' not in found.systems['target']  # equal frames have none
  # Features that differ by a constant: the means alone are apart.
  assert found.systems['generated']['fid'].mean == pytest.approx(0.25 * FEATURES, rel=1e-5)
  assert 'fid' not in found.systems['other_audio'] and 'fid' not in found.systems['target']
  named = summary.flat(found)
  assert named['lower_half_psnr'] == 22.5 and named['lower_half_psnr_other_audio'] == 10
  assert named['expert_accuracy'] == pytest.approx(0.9) and named['sync_confidence_target'] == 0.5
  head, rows = summary.table(found)
  assert head[2:] == ['PSNR, dB ↑', 'FID ↓', 'LSE-D ↓', 'sync confidence ↑'] and rows[1][3:] == ['', '', '']
  assert json.loads(json.dumps(summary.as_json(found)))['missing'] == {'lse_d': 'needs --syncnet'}
  assert 'LSE-D: not measured, needs --syncnet.' in summary.markdown(found)


def test_page_has_everything(found, tmp_path):
  found, rows = found
  shown = page(found, rows, {'dataset': 'lrs2'}, {})
  for text in ('22.500 ±', 'LSE-D: not measured', 'Clips that went worst', 'lrs2', '<svg'):
    assert text in shown
  assert shown.index('c0</td>') < shown.index('c1</td>')  # the worst comes first
