"""The page of an evaluation."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import summary
from lpips_jax.evaluation.measures import in_narrow_tables, with_readers
from lpips_jax.evaluation.report import page
from lpips_jax.evaluation.scoring import Score, ScoreCache


@pytest.fixture
def scores():
  return [Score('g', 'generated', f'c{k}', {'lower_half_psnr': 20.0 + k}) for k in range(6)]


@pytest.fixture
def found(scores, tmp_path):
  missing = {'lse_d': UserError('needs syncnet', 'syncnet')}
  return summary.summarise(['generated'], scores, ScoreCache(tmp_path), missing)


def test_the_page_has_everything(found, scores):
  html = page(found, scores, {'dataset': 'lrs2'}, {})
  for text in ('22.500 ±', 'LSE-D: not measured', 'Clips that went worst', 'lrs2', '<svg'):
    assert text in html
  assert html.index('c0</td>') < html.index('c1</td>')  # the worst comes first


def test_the_page_shows_samples(found, scores, tmp_path: Path):
  cv2.imwrite(str(tmp_path / 'samples.png'), np.zeros((4, 6, 3), np.uint8))
  (tmp_path / 'samples.mp4').write_bytes(b'mp4')
  html = page(found, scores, {}, {tmp_path / 'samples.png': 'faces', tmp_path / 'samples.mp4': 'a clip'})
  assert 'width="6" height="4"' in html and '<video title="a clip"' in html and '<figcaption>faces<' in html


def test_without_a_measure_that_ranks_clips_none_are_the_worst(tmp_path):
  scores = [Score('g', 'generated', 'c0', {'mouth_motion': 1.0})]
  found = summary.summarise(['generated'], scores, ScoreCache(tmp_path), {})
  assert 'Clips that went worst' not in page(found, scores, {}, {})


def test_a_wide_table_becomes_several(tmp_path):
  columns = with_readers([('first', 'sounds'), ('second', 'characters')])
  values = dict.fromkeys(columns, 1.0) | {column.weight: 2.0 for column in columns.values() if column.weight}
  scores = [Score('g', 'generated', 'c0', values)]
  found = summary.summarise(['generated'], scores, ScoreCache(tmp_path), {}, columns)
  html = page(found, scores, {}, {})
  assert html.count('>system</th>') == html.count('>clip</th>') == len(in_narrow_tables(list(columns))) > 1
  for title in ('PSNR, dB ↑', 'AVS_m ↑', 'viseme error, first ↓', 'word error, second ↓'):
    assert f'>{title}</th>' in html
