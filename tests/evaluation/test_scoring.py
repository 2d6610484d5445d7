"""Scores are kept, and what was cut short or damaged is scored again."""

import json

import numpy as np
import pytest
from tqdm import tqdm

from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import scoring, summary
from lpips_jax.evaluation.candidates import Candidate
from lpips_jax.evaluation.scoring import SCORES_FILE, ScoreCache, WorkItem, key_of, score_all

RNG = np.random.default_rng(0)
FEATURES = 16
KEYS = {'generated': 'g', 'target': 't'}


class Scorers:
  """Notes the candidates that it has scored."""

  def __init__(self):
    self.scored = []

  def score(self, candidate):
    self.scored.append(float(candidate.mel[0, 0]))
    return {'lower_half_psnr': float(candidate.mel[0, 0]), 'perceptual': None}

  def features(self, candidate):
    return RNG.standard_normal((3, FEATURES)).astype(np.float32)


def item(number, frames=10):
  candidate = Candidate(np.zeros((frames, 8, 8, 3), np.uint8), np.full((1, 80), number, np.float32))
  return WorkItem(f'clip{number}', tuple(KEYS), lambda: dict.fromkeys(KEYS, lambda: candidate))


def damaged():
  raise UserError('the file is no video')


def test_a_second_run_does_what_is_left(tmp_path):
  scorers = Scorers()
  score_all([item(1), item(2)], KEYS, scorers, ScoreCache(tmp_path), progress=False)
  assert scorers.scored == [1, 1, 2, 2]
  with (tmp_path / SCORES_FILE).open('a') as file:
    file.write('{"key": "g", "system": "gener\n')  # cut short
    file.write(json.dumps({'key': ['g'], 'system': 'generated', 'clip': 'clip1', 'scores': {}}) + '\n')
    file.write(json.dumps({'key': 'g', 'system': 'generated', 'clip': 'clip1', 'scores': [1]}) + '\n')
  score_cache = ScoreCache(tmp_path)
  score_all([item(1), item(2), item(3)], KEYS, scorers, score_cache, progress=False)
  assert scorers.scored == [1, 1, 2, 2, 3, 3]
  score_all([item(1)], KEYS | {'generated': 'retrained'}, scorers, ScoreCache(tmp_path), progress=False)
  assert scorers.scored[6:] == [1]
  scores = score_cache.select(KEYS, ['clip1', 'clip2', 'clip3'])
  assert [(score.clip, score.system) for score in scores] == [
    (f'clip{n}', system) for n in (1, 2, 3) for system in KEYS
  ]
  assert all(features.shape == (3, FEATURES) for features in score_cache.features(scores))
  assert [json.loads(line)['clip'] for line in (tmp_path / SCORES_FILE).read_text().splitlines()].count('clip3') == 2


def test_damaged_features_say_what_to_delete(tmp_path):
  score_cache = ScoreCache(tmp_path)
  score_all([item(1)], KEYS, Scorers(), score_cache, progress=False)
  for path in tmp_path.rglob('*.npy'):
    path.write_bytes(path.read_bytes()[:80])
  with pytest.raises(UserError, match=r'clips\.jsonl and give the command again'):
    list(score_cache.features(score_cache.select(KEYS, ['clip1'])))


def test_what_cannot_be_scored_says_why_and_is_tried_again(tmp_path):
  score_cache = ScoreCache(tmp_path)
  bad = WorkItem('bad', tuple(KEYS), damaged)
  score_all([bad, item(1), item(2, frames=7)], KEYS, Scorers(), score_cache, progress=False)
  found = summary.summarise(list(KEYS), score_cache.select(KEYS, ['bad', 'clip1', 'clip2']), score_cache, {})
  assert found.scored == {'generated': 1, 'target': 1}
  assert found.skipped['generated'] == {'the file is no video': 1, 'shorter than 8 frames': 1}
  assert any('1 clips were not scored: the file is no video' in note for note in summary.notes(found))
  mended = WorkItem('bad', tuple(KEYS), item(5).read)
  score_all([mended], KEYS, Scorers(), score_cache, progress=False)
  assert all(not score.skipped for score in score_cache.select(KEYS, ['bad']))


def test_reasons_name_the_flags_of_commands(tmp_path):
  def too_large():
    raise UserError('too large: raise max_pixels', 'max_pixels')

  score_cache = ScoreCache(tmp_path)
  score_all([WorkItem('bad', tuple(KEYS), too_large)], KEYS, Scorers(), score_cache, progress=False)
  assert {score.skipped for score in score_cache.select(KEYS, ['bad'])} == {'too large: raise --max_pixels'}


def test_nothing_scored_is_an_error(tmp_path):
  score_cache = ScoreCache(tmp_path)
  score_all([WorkItem('bad', tuple(KEYS), damaged)], KEYS, Scorers(), score_cache, progress=False)
  with pytest.raises(UserError, match='none of the 1 clips could be scored: the file is no video'):
    summary.summarise(list(KEYS), score_cache.select(KEYS, ['bad']), score_cache, {})


def test_progress_is_shown_on_a_terminal_unless_it_is_not_wanted(tmp_path, monkeypatch):
  bars = []
  monkeypatch.setattr(scoring, 'tqdm', lambda **options: bars.append(options['disable']) or tqdm(disable=True))
  score_all([], KEYS, Scorers(), ScoreCache(tmp_path))
  score_all([], KEYS, Scorers(), ScoreCache(tmp_path), progress=False)
  assert bars == [None, True]  # None: where it is not a terminal


def test_other_conditions_have_other_keys():
  assert key_of(size=96, split='test') == key_of(split='test', size=96) != key_of(size=128, split='test')
