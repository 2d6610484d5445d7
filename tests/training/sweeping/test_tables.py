"""The results of a sweep as text, as CSV and as a page."""

import csv
import re

import pytest
from matplotlib.figure import Figure

from lpips_jax.core import html as html_module
from lpips_jax.storage import files
from lpips_jax.training.sweeping import tables
from lpips_jax.training.sweeping.results import Criterion, Result, Results, Spread
from lpips_jax.training.sweeping.sweeps import Sweep

KEYS = 'optimizer.learning_rate', 'seed'


def result(rate, seed, losses):
  """A run that was evaluated every 10 steps of 20; its first evaluation was the best."""
  evaluations = {10 * k: {'loss': loss, 'psnr': 20.0 + loss} for k, loss in enumerate(losses, start=1)}
  curves = {name: {'eval': {step: metrics[name] for step, metrics in evaluations.items()}} for name in ('loss', 'psnr')}
  curves['loss']['train'] = {5: 4.0, 15: float(losses[0] if losses else 1)}
  curves |= {'steps_per_second': {'train': {15: 3.0}}, 'tflops': {'train': {15: 0.5}}}
  state = 'finished' if len(losses) == 2 else 'unfinished' if losses else 'not started'
  return Result(
    name=f'learning_rate={rate},seed={seed}',
    values=dict(zip(KEYS, (rate, seed), strict=True)),
    state=state,
    step=1000 * len(losses),
    steps=2000 if losses else None,
    curves=curves if losses else {},
    evaluations=evaluations,
    best=10 if losses else None,
  )


def results_of(*runs, spreads=()):
  sweep = Sweep('configs/lrs2.py', {'data.name': '<lrs3>'}, KEYS, {run.name: run.values for run in runs})
  metrics = ['loss', 'psnr'] if any(run.evaluations for run in runs) else []
  return Results(sweep, Criterion('loss', False), metrics, list(runs), list(spreads))


@pytest.fixture
def results():
  runs = result('0.001', '0', [0.5, 0.75]), result('0.001', '1', [1.5, 2.0]), result('3e-05', '0', [])
  spreads = Spread({KEYS[0]: '0.001'}, list(runs[:2]), 2), Spread({KEYS[0]: '3e-05'}, [], 1)
  return results_of(*runs, spreads=spreads)


def test_the_text_is_aligned(results):
  assert tables.text(results).splitlines() == [
    '3 runs, 2 finished. The best first, by the least loss of an evaluation; metrics are those of that evaluation.',
    '',
    'learning_rate  seed  step            state        best at  loss  psnr  last loss',
    '0.001          0     2,000 of 2,000  finished          10   0.5  20.5       0.75',
    '0.001          1     2,000 of 2,000  finished          10   1.5  21.5          2',
    '3e-05          0     0               not started',
    '',
    'over seeds, mean ± standard deviation:',
    '',
    'learning_rate  seeds   loss      psnr',
    '0.001          2 of 2  1 ± 0.71  21 ± 0.71',
    '3e-05          0 of 1',
  ]


def test_the_csv_file_holds_everything(results, tmp_path):
  paths = tables.write(results, tmp_path)
  assert [path.name for path in paths] == ['sweep.csv', 'sweep.html']
  first, *_, last = csv.DictReader((tmp_path / 'sweep.csv').read_text().splitlines())
  assert first == {
    'run': 'learning_rate=0.001,seed=0',
    'optimizer.learning_rate': '0.001',
    'seed': '0',
    **{'state': 'finished', 'step': '2000', 'steps': '2000', 'best.step': '10'},
    **{'best.loss': '0.5', 'best.psnr': '20.5', 'last.loss': '0.75', 'last.psnr': '20.75'},
  }
  assert last['state'] == 'not started' and last['best.loss'] == last['steps'] == ''


def test_the_table_of_a_bucket_is_written_there(results, gs_bucket):
  places = [f'{gs_bucket.url}/{name}' for name in ('sweep.csv', 'sweep.html')]
  assert tables.write(results_of(*results.runs[2:]), gs_bucket.url) == places
  assert b'3e-05' in files.read(places[0]) and b'</html>' in files.read(places[1])


def test_the_page_has_the_curves_of_all_runs_in_each_plot(results, monkeypatch):
  drawn = {}

  def plot(draw, width, height, title):
    draw(figure := Figure((width, height)))
    drawn[title] = figure
    return html_module.Paragraph(title)

  monkeypatch.setattr(html_module, 'plot', plot)
  page = tables.page(results)
  assert '<h1>Sweep over learning_rate, seed</h1>' in page and '&lt;lrs3&gt;' in page
  assert list(drawn) == [
    *('colours of the runs', 'loss, evaluated', 'loss, in training', 'psnr, evaluated'),
    'steps_per_second, in training',
  ]
  lines = drawn['loss, evaluated'].axes[0].lines
  assert [(list(line.get_xdata()), list(line.get_ydata())) for line in lines] == [
    ([10.0, 20.0], [1.5, 2.0]),
    ([10.0, 20.0], [0.5, 0.75]),
  ]
  assert len({line.get_color() for line in lines}) == 1  # seeds of one rate
  assert page.count('3e-05') == 2  # among runs and over seeds
  assert [text.get_text() for text in drawn['colours of the runs'].legends[0].texts] == ['learning_rate=0.001']


def test_more_runs_than_looks(monkeypatch):
  monkeypatch.setattr(tables, 'STYLES', ('-',))
  runs = [result(f'{k}', '0', [k]) for k in range(1, 12)]
  page = tables.page(results_of(*runs))
  assert 'The best 8 are drawn.' in page and 'learning_rate=8' in page and 'learning_rate=9' not in page
  assert len(re.findall('<svg', page)) == 5


def test_a_sweep_that_has_not_begun(tmp_path):
  results = results_of(result('0.1', '0', []))
  assert tables.text(results).splitlines()[2:] == [
    'learning_rate  seed  step  state',
    '0.1            0     0     not started',
  ]
  tables.write(results, tmp_path)
  assert 'not started' in (tmp_path / 'sweep.html').read_text()
