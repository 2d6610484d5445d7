"""A protocol becomes scores, a table, a page and samples, and goes on where it was cut short."""

import json

import numpy as np
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import Candidate
from lpips_jax.evaluation.leakage import LeakageRow
from lpips_jax.evaluation.protocols import Protocol, evaluate
from lpips_jax.evaluation.scorers import Scorers
from lpips_jax.evaluation.scoring import SCORES_FILE, WorkItem

RNG = np.random.default_rng(0)
ROW = LeakageRow('ours', 'current')


@pytest.fixture
def reads():
  """The names of the clips that were read."""
  return []


@pytest.fixture
def protocol(reads):
  def item(name):
    frames = RNG.integers(256, size=(10, 16, 16, 3), dtype=np.uint8)
    candidate = Candidate(frames, np.zeros((32, 80), np.float32), truth=255 - frames, reference=frames)
    systems = ['ours', ROW.system('silent')]
    return WorkItem(name, systems, lambda: reads.append(name) or dict.fromkeys(systems, lambda: candidate))

  def write_samples(output):
    (output / 'samples.mp4').write_bytes(b'mp4')
    return {'samples.mp4': 'a clip'}

  items = [item('a'), item('b')]
  return Protocol(items, {'ours': 1}, {'dataset': 'lrs2'}, write_samples, [ROW], {ROW.system('silent'): 2})


MISSING = {'lse_d': UserError('needs syncnet', 'syncnet')}


def test_results_are_written_and_an_interrupted_run_goes_on(protocol, reads, tmp_path):
  text = evaluate(protocol, Scorers(missing=MISSING), 16, 7, tmp_path)
  assert reads == ['a', 'b'] and (tmp_path / 'metrics.md').read_text() == text
  assert 'LSE-D: not measured, needs --syncnet.' in text and '## Leakage' in text
  results = json.loads((tmp_path / 'metrics.json').read_text())
  assert list(results)[:3] == ['dataset', 'clips', 'step'] and (results['clips'], results['step']) == (2, 7)
  assert list(results['systems']) == ['ours']  # the other one is of the table of leakage alone
  assert results['leakage']['ours']['current']['leak_silent']['mean'] == pytest.approx(1)
  assert results['lower_half_psnr_ours'] == results['systems']['ours']['measures']['lower_half_psnr']['mean']
  page = (tmp_path / 'page.html').read_text()
  assert '<figcaption>a clip</figcaption>' in page and '<h2>Leakage</h2>' in page

  lines = (tmp_path / SCORES_FILE).read_text().splitlines(keepends=True)
  assert len(lines) == 4
  (tmp_path / SCORES_FILE).write_text(''.join(lines[:3]))
  assert evaluate(protocol, Scorers(missing=MISSING), 16, 7, tmp_path) == text
  assert reads == ['a', 'b', 'b']


def test_scores_of_another_image_size_are_not_reused(protocol, reads, tmp_path):
  for size in (16, 32):
    evaluate(protocol, Scorers(), size, None, tmp_path)
  assert reads == ['a', 'b', 'a', 'b']


def test_a_protocol_without_leakage_has_one_table(protocol, tmp_path):
  items = [item._replace(systems=['ours']) for item in protocol.items]
  protocol = protocol._replace(items=items, leakage_rows=[], leakage_systems={})
  text = evaluate(protocol, Scorers(), 16, None, tmp_path)
  assert 'Leakage' not in text and 'leakage' not in json.loads((tmp_path / 'metrics.json').read_text())
