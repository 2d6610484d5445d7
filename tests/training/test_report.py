"""The page of a training run: it shows everything that was logged, whatever the run has left, and is reproducible."""

import base64
import json
import re
import subprocess
import sys
from html import unescape

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lpips_jax.core import html as html_module
from lpips_jax.core.errors import UserError
from lpips_jax.core.html import ACCENT, INK, SECOND
from lpips_jax.media.pictures import write_png
from lpips_jax.storage import staging, stores, transfer
from lpips_jax.training import report

COMMAND = [sys.executable, '-m', 'lpips_jax.training.report']
CONFIG = {'task': 'generator', 'steps': 1000, 'model': {'name': 'attn <wav2lip>', 'widths': [4, 8]}, 'sync_expert': ''}
LINES = [
  {'step': 10, 'kind': 'train', 'loss': 0.9, 'sync': 2.0, 'sync_open': 0.0, 'steps_per_second': 4.0},
  {'step': 20, 'kind': 'train', 'loss': 0.7, 'sync': 1.5, 'sync_open': 0.0, 'steps_per_second': 5.0},
  {'step': 20, 'kind': 'eval', 'loss': 0.8, 'psnr': 20.0},
  {'step': 30, 'kind': 'train', 'loss': 0.75, 'sync': 1.25, 'sync_open': 1.0, 'steps_per_second': 4.5},
  {'step': 40, 'kind': 'train', 'loss': 0.5, 'sync': 1.0, 'sync_open': 1.0, 'steps_per_second': 4.25},
  {'step': 40, 'kind': 'eval', 'loss': 0.625, 'psnr': 1234.5},
  {'step': 60, 'kind': 'eval', 'loss': 0.65, 'psnr': 22.0},
]


def log(workdir, lines, rest=''):
  """Leaves what a run would have."""
  (workdir / 'checkpoint').mkdir(parents=True, exist_ok=True)
  (workdir / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines) + rest)
  (workdir / 'checkpoint' / 'config.json').write_text(json.dumps(CONFIG))
  return workdir


def page(workdir):
  report.write_page(workdir / 'page.html', report.read_run(workdir))
  return (workdir / 'page.html').read_text(encoding='utf-8')


def rows(html):
  """The text of all table rows, cell by cell."""
  cells = [re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', row) for row in re.findall(r'<tr>(.*?)</tr>', html)]
  return [[unescape(cell) for cell in row] for row in cells]


def plots(html):
  return re.findall(r'<svg[^>]*><title>(.*?)</title>', html)


def drawn(workdir, monkeypatch):
  """The axes of every plot."""
  axes = {}

  def plot(draw, width, height, title):
    figure = Figure((width, height))
    draw(figure)
    axes[title] = figure.axes[0]
    return ''

  with monkeypatch.context() as patch:
    patch.setattr(html_module, 'plot', plot)
    page(workdir)
  return axes


def lines(axes):
  """The points of each line by its colour."""
  return {to_hex(line.get_color()): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def picture(step):
  return np.random.default_rng(step).integers(0, 256, (30, 40, 3), np.uint8)


def test_summary(tmp_path):
  html = page(log(tmp_path / 'my run', LINES))
  assert '<h1>generator my run</h1>' in html
  table = rows(html)
  for row in (
    ['task', 'generator'],
    ['steps', '60 of 1,000'],
    ['sync loss', 'open since step 30'],
    ['damaged records left out', '0'],
    # Train and eval, last; eval, least and greatest, each with its step.
    ['loss', '0.5', '0.65', '0.625', '40', '0.8', '20'],
    ['psnr', '', '22', '20', '20', '1,234.5', '40'],
    ['sync', '1', '', '', '', '', ''],
    ['model.name', "'attn <wav2lip>'"],
    ['model.widths', '[4, 8]'],
    ['sync_expert', "''"],
  ):
    assert row in table
  assert not any('could not be used' in row[0] for row in table)
  assert plots(html) == ['loss', 'sync', 'psnr', 'steps_per_second']


def test_sync_loss_that_did_not_open(tmp_path):
  html = page(log(tmp_path / 'run', LINES[:3]))
  assert ['sync loss', 'not open yet'] in rows(html) and 'stroke-dasharray' not in html
  expert = [{'step': 1, 'kind': 'train', 'loss': 1.0}]
  assert not any(row[0] == 'sync loss' for row in rows(page(log(tmp_path / 'expert', expert))))


def test_a_line_cut_off_is_ignored_and_damaged_ones_are_counted(tmp_path):
  html = page(log(tmp_path / 'killed', LINES, '{"step": 70, "kind": "train", "loss": 0.123'))
  assert ['steps', '60 of 1,000'] in rows(html) and 'could not be used' not in html
  assert html.replace('killed', 'whole') == page(log(tmp_path / 'whole', LINES))
  damage = '\0\0\n[1]\n{"step": 80, "kind": "test", "loss": 1.0}\n{"step": "90", "kind": "eval", "loss": 1.0}\n\n'
  damage += '{"step": 80, "kind": "eval", "loss": -1e308}\n{"step": 1%s, "kind": "eval", "loss": 1.0}\n' % (400 * '0')
  damage += '{"step": 80, "kind": "eval", "loss": 1%s}\n' % (400 * '0')
  table = rows(page(log(tmp_path / 'damaged', LINES, damage + json.dumps({'step': 70, 'kind': 'eval', 'loss': 0.5}))))
  assert ['lines of metrics.jsonl that could not be used', '8'] in table
  assert ['steps', '70 of 1,000'] in table and ['loss', '0.5', '0.5', '0.5', '70', '0.8', '20'] in table


def test_damaged_records_add_up_over_every_start_of_a_run(tmp_path):
  counts = [0, 1, 1, 3, 0, 2, 1, 4]  # begun three times
  entries = [
    {'step': step, 'kind': 'train', 'loss': 1.0} | ({'damaged_records': count} if count else {})
    for step, count in enumerate(counts)
  ]
  html = page(log(tmp_path, entries))
  assert ['damaged records left out', '9'] in rows(html) and plots(html) == ['loss']


def test_curves_are_what_was_logged(tmp_path, monkeypatch):
  axes = drawn(log(tmp_path, LINES), monkeypatch)
  assert lines(axes['loss']) == {
    ACCENT: ([10, 20, 30, 40], [0.9, 0.7, 0.75, 0.5]),
    SECOND: ([20, 40, 60], [0.8, 0.625, 0.65]),
    INK: ([30, 30], [0, 1]),  # where the sync loss opened
  }
  assert lines(axes['psnr']).keys() == {SECOND, INK}
  assert lines(axes['steps_per_second'])[ACCENT] == ([10, 20, 30, 40], [4, 5, 4.5, 4.25])
  assert len({each.get_xlim() for each in axes.values()}) == 1


def test_scales_and_values_that_are_not_finite(tmp_path, monkeypatch):
  entries = [
    {'step': 3 * k, 'kind': 'train', 'wide': 10.0 ** (-k), 'narrow': 1.0 + k, 'signed': (-10.0) ** k}
    | ({'late': [2.0, float('nan'), 4.0, float('-inf')][k - 2], 'never': float('inf')} if k > 1 else {})
    for k in range(6)
  ]
  axes = drawn(log(tmp_path, entries), monkeypatch)
  assert {name: each.get_yscale() for name, each in axes.items()} == {
    'wide': 'log',
    'narrow': 'linear',
    'signed': 'linear',
    'late': 'linear',
  }
  assert lines(axes['late'])[ACCENT] == ([6, 12], [2, 4])
  html = page(tmp_path)
  assert 'never: no value is finite' in html and '>0.01</text>' in html and 'mathdefault' not in html


def test_long_curves_are_thinned_and_smoothed(tmp_path, monkeypatch):
  noise = np.random.default_rng(0).normal(size=10_000)
  noise[[1234, 8765]] = 9, -9
  slope = np.arange(10_000) / 1000
  entries = [
    {'step': k, 'kind': 'train', 'noise': float(noise[k]), 'slope': slope[k], 'few': 1.0} for k in range(10_000)
  ]
  workdir = log(tmp_path, entries)
  axes = drawn(workdir, monkeypatch)
  band = axes['noise'].collections[0].get_paths()[0].vertices[:, 1]
  assert (band.min(), band.max()) == (-9, 9)
  (_, smooth), (steps, straight) = (lines(axes[name])[ACCENT] for name in ('noise', 'slope'))
  assert len(smooth) == 400 and 0 < np.std(smooth) < 0.1
  np.testing.assert_allclose(straight, np.array(steps) / 1000)  # the mean of a line is the line, to its very ends
  assert (workdir / 'page.html').stat().st_size < 200_000 and len(page(workdir)) < 200_000


def test_the_time_of_a_run_is_a_bar_and_a_table(tmp_path, monkeypatch):
  seconds = {'steps': 900, 'start': 40, 'compile': 20.5, 'input': 0, 'evaluation': 19.5, 'saving': 0, 'faults': 20}
  times = [{'step': step, 'kind': 'time', 'goodput': 0.5, 'wall': 1.8e9, **seconds} for step in (20, 40)]
  times[0]['steps'] = 1
  html = page(log(tmp_path, [*LINES, *times, {'step': 60, 'kind': 'time', 'steps': 1}]))
  table = rows(html)
  assert [row[0] for row in table if len(row) == 4] == ['', *seconds]
  assert [row[2:] for row in table if row[0] in ('steps', 'compile', 'input') and len(row) == 4] == [
    ['900.00', '90.0%'],
    ['20.50', '2.1%'],
    ['0.000', '0.0%'],
  ]
  assert 'goodput 90%: steps 900 s, start 40 s, compile 20 s, faults 20 s, evaluation 20 s' in html
  assert 'time' in plots(html) and 'could not be used' not in html
  bars = drawn(tmp_path, monkeypatch)['time'].patches
  assert [bar.get_width() for bar in bars] == list(seconds.values())
  assert [bar.get_x() for bar in bars[:3]] == [0, 900, 940]


def test_when_lines_were_written_is_no_curve(tmp_path):
  entries = [line | {'wall': 1.8e9} for line in LINES]
  assert page(log(tmp_path / 'run', entries)).count('<svg') == page(log(tmp_path / 'run', LINES)).count('<svg')


def test_samples(tmp_path):
  workdir = log(tmp_path, LINES)
  for step in range(100, 4100, 100):
    write_png(workdir / 'samples' / f'{step:07d}.png', picture(step))
  write_png(workdir / 'samples' / '9000000.png', picture(2))
  write_png(workdir / 'samples' / '12345678.png', picture(0))  # a digit more than others, yet the last
  write_png(workdir / 'samples' / 'mine.png', picture(1))
  html = page(workdir)
  steps = re.findall(r'<img title="step ([\d,]*)"', html)
  assert steps[:3] == ['12,345,678', '100', '500'] and steps[-1] == '9,000,000' and len(steps) == 13
  shown, *_ = re.findall(r'src="data:image/png;base64,(.*?)"', html)
  shown = cv2.imdecode(np.frombuffer(base64.b64decode(shown), np.uint8), cv2.IMREAD_COLOR)
  np.testing.assert_array_equal(shown[..., ::-1], picture(0))


def test_large_pictures_do_not_make_a_large_page(tmp_path):
  workdir = log(tmp_path, LINES)
  for step in range(20):
    write_png(workdir / 'samples' / f'{step:07d}.png', np.tile(picture(step), (20, 30, 1)))
  html = page(workdir)
  assert 'image/png' not in html and html.count('image/jpeg') == 13 and 'width="312" height="156"' in html


def test_damaged_pictures_are_named(tmp_path):
  workdir = log(tmp_path, LINES)
  write_png(workdir / 'samples' / '0000001.png', picture(1))
  (workdir / 'samples' / '0000002.png').write_bytes(b'')
  (workdir / 'samples' / '0000003.png').write_bytes(b'\x89PNG, but no more')
  html = page(workdir)
  assert html.count('<img') == 1
  for step in (2, 3):
    assert f'step {step} (samples/000000{step}.png cannot be read)' in html


def test_the_last_video_unless_it_is_large(tmp_path, monkeypatch):
  workdir = log(tmp_path, LINES)
  (workdir / 'samples').mkdir()
  for step in (3000, 6000):
    (workdir / 'samples' / f'{step:07d}.mp4').write_bytes(b'video %d' % step)
  coded = base64.b64encode(b'video 6000').decode()
  assert re.findall(r'<video[^>]* src="data:video/mp4;base64,(.*?)"', page(workdir)) == [coded]
  monkeypatch.setattr(report, 'MAX_VIDEO_BYTES', 9)
  html = page(workdir)
  assert '<video' not in html and 'samples/0006000.mp4 is too large' in html


def test_diagnosis(tmp_path):
  workdir = log(tmp_path, LINES)
  for step in (1, 2, 3):
    write_png(workdir / 'diagnosis' / f'{step:07d}.png', picture(step))
  (workdir / 'diagnosis' / '0000003.txt').write_text('sound <b> leads\nmore\n')
  (workdir / 'diagnosis' / '0000001.txt').write_text('')
  html = page(workdir)
  captions = re.findall(r'<figcaption>(.*?)</figcaption>', html)
  assert captions == ['step 3: sound &lt;b&gt; leads', 'step 1', 'step 2']


@pytest.mark.parametrize('config', [None, '[]', '{"task": "gen'])
def test_a_run_without_a_config(tmp_path, config):
  workdir = log(tmp_path / 'run', LINES)
  (workdir / 'checkpoint' / 'config.json').unlink()
  if config:
    (workdir / 'checkpoint' / 'config.json').write_text(config)
  html = page(workdir)
  assert '<h1>run</h1>' in html and ['steps', '60'] in rows(html) and 'no checkpoint/config.json' in html


def test_the_page_is_whole_and_the_same_every_time(tmp_path):
  workdir = log(tmp_path, LINES)
  for kind in ('samples', 'diagnosis'):
    write_png(workdir / kind / '0000040.png', picture(40))
  html = page(workdir)
  assert html == page(workdir)
  assert html.count('<svg') == 4 and html.count('<img') == 2
  assert not re.search(r'(src|href)="(?!data:|#)', html)  # it needs no other file


def test_the_command(tmp_path):
  workdir = log(tmp_path / 'run', LINES)
  output = tmp_path / 'new' / 'page.html'
  for options, written in ([], workdir / 'report.html'), ([f'--output={output}'], output):
    result = subprocess.run([*COMMAND, workdir, *options], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, '')
    assert 'generator run: step 60 of 1,000' in result.stdout and str(written) in result.stdout
    assert len(plots(written.read_text())) == 4


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path):
  (tmp_path / 'empty').mkdir()
  log(tmp_path / 'cut', [], '{"step": 1, "ki')
  log(tmp_path / 'no_scalars', [{'step': 1, 'kind': 'train'}])
  for name, problem in {
    'gone': 'gone is not there',
    'empty': 'has no metrics.jsonl',
    'cut': 'has no scalars yet',
    'no_scalars': 'has no scalars yet',
  }.items():
    with pytest.raises(UserError, match=problem):
      report.read_run(tmp_path / name)
  log(tmp_path / 'run', LINES)
  before = sorted(tmp_path.rglob('*'))
  for problem, arguments in (
    ('missing --workdir', []),
    ('give the --workdir of a training run', [tmp_path / 'gone']),
    ('has no metrics.jsonl', [tmp_path / 'empty', f'--output={tmp_path / "new" / "page.html"}']),
    ('wait until', [tmp_path / 'cut']),
    ('--output is the page to write', [tmp_path / 'run', f'--output={tmp_path}']),
    ('metrics.jsonl', [tmp_path / 'run', f'--output={tmp_path / "run" / "metrics.jsonl" / "page.html"}']),
  ):
    result = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1 and problem in result.stderr
  assert sorted(tmp_path.rglob('*')) == before


def test_a_run_in_a_bucket_has_the_same_page(tmp_path, gs_bucket):
  log(tmp_path / 'run', LINES)
  transfer.upload(tmp_path / 'run', f'{gs_bucket.url}/run')
  stores.write(f'{gs_bucket.url}/run/checkpoint/60/model/d', b'weights')
  stores.write(f'{gs_bucket.url}/run/checkpoint/60/commit_success.txt', b'whole')
  stores.write(f'{gs_bucket.url}/run/compiled/step-cache', b'program')
  done = subprocess.run([*COMMAND, f'{gs_bucket.url}/run'], capture_output=True, text=True)
  assert done.stdout.endswith(f'look at {gs_bucket.url}/run/report.html\n'), done.stderr
  subprocess.run([*COMMAND, tmp_path / 'run'], check=True, capture_output=True)
  assert stores.read(f'{gs_bucket.url}/run/report.html') == (tmp_path / 'run' / 'report.html').read_bytes()
  copy = staging.place_of(f'{gs_bucket.url}/run')
  assert not (copy / 'checkpoint' / '60').exists() and not (copy / 'compiled').exists()
