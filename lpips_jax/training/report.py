"""Draws a training run as one page: its curves, its samples, the diagnosis of its expert, its config.

  python -m lpips_jax.training.report runs/generator --output=generator.html

The run may still be in progress. By default the page is WORKDIR/report.html. Both may be URLs, gs://… or s3://….
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from absl import flags

from lpips_jax.core import cli, html
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import write_whole
from lpips_jax.storage.places import is_remote, join
from lpips_jax.storage.staging import staged
from lpips_jax.storage.transfer import local_output
from lpips_jax.training import goodput

LOG, CONFIG, SAMPLES, DIAGNOSES = 'metrics.jsonl', 'checkpoint/config.json', 'samples', 'diagnosis'  # of a workdir
TRAIN, EVAL = 'train', 'eval'  # kinds of lines
OPEN, DAMAGED = 'sync_open', 'damaged_records'  # scalars that are stated in words
PACE = 'steps_per_second', 'frames_per_second', 'tflops', 'peak_share'
SIGNIFICANT_DIGITS = 5  # of a scalar
PAGE_WIDTH, THUMBNAIL_WIDTH = 960, 312  # pixels; the page is as wide as a large picture, or three thumbnails
MAX_ENLARGEMENT = 3  # of pictures, as little can be seen of small faces
MAX_THUMBNAILS = 12  # so that the page does not grow with the run
MAX_LOSSLESS_BYTES, MAX_VIDEO_BYTES = 600_000, 5_000_000  # files up to these sizes are embedded as they are
MAX_MARKED_POINTS = 30  # of a curve: up to here each point is marked, and nothing is smoothed
BAND_COLUMNS = 400  # of a curve of more points
SMOOTHED_SHARE = 1 / 20  # of a curve, over which it is averaged
STEP_LIMIT, MAX_SCALAR = 2**31, 3.5e38  # runs count in int32 and compute in float32: larger numbers are damaged
LOG_SPAN = 100  # ratio of the largest to the least value above which the scale is logarithmic


@dataclass(frozen=True, eq=False)
class RunRecord:
  """The files that a run has left so far.

  Attributes:
    workdir: its directory.
    config: its config, nested, or None if there is none that can be read.
    curves: for each scalar, in the order of appearance, its values by step, for 'train' and for 'eval'.
    left_out: the number of lines of metrics.jsonl that could not be used, without a last one that was cut off.
    times: the last seconds by the categories of `goodput`; None if none were logged.
    samples, videos, diagnoses: files named by step, in the order of steps.
  """

  workdir: Path
  config: dict[str, Any] | None
  curves: dict[str, dict[str, dict[int, float]]]
  left_out: int = 0
  times: dict[str, float] | None = None
  samples: list[Path] = field(default_factory=list)
  videos: list[Path] = field(default_factory=list)
  diagnoses: list[Path] = field(default_factory=list)

  @property
  def title(self) -> str:
    return ' '.join(filter(None, (self.task, self.workdir.resolve().name)))

  @property
  def task(self) -> str:
    return str((self.config or {}).get('task', ''))

  @property
  def steps(self) -> str:
    """The number of steps made, as far as logged, and of those asked for."""
    made = max(step for kinds in self.curves.values() for values in kinds.values() for step in values)
    asked = (self.config or {}).get('steps')
    return f'{made:,}' + (f' of {asked:,}' if isinstance(asked, int) else '')

  @property
  def opened(self) -> int | None:
    """The first logged step at which the sync loss counted; None if there was none yet."""
    return next((step for step, value in sorted(self._trained(OPEN).items()) if value > 0), None)

  @property
  def damaged(self) -> int:
    """The least number of damaged records left out: when a run is resumed, the log counts from 0 again."""
    counts = self._trained(DAMAGED)
    steps = sorted({step for kinds in self.curves.values() for step in kinds.get(TRAIN, {})})
    series = [counts.get(step, 0) for step in steps] + [0]
    return round(sum(count for count, then in pairwise(series) if then < count))

  def _trained(self, name: str) -> dict[int, float]:
    return self.curves.get(name, {}).get(TRAIN, {})


def define_flags() -> None:
  flags.DEFINE_string('workdir', None, 'The --workdir of a training run.')
  flags.DEFINE_string('output', None, 'The page to write; WORKDIR/report.html by default.')


def main() -> None:
  cli.require_flags('workdir')
  given = flags.FLAGS
  output = given.output or join(given.workdir, 'report.html')
  if not is_remote(output) and Path(output).is_dir():
    cli.fail(f'{output} is a directory: --output is the page to write')
  run = read_run(staged(given.workdir, _read_of))
  with local_output(output) as page:
    page.parent.mkdir(parents=True, exist_ok=True)
    write_page(page, run)
  print(f'{run.title}: step {run.steps}\nlook at {output}')


def _read_of(names: set[str]) -> set[str]:
  """Returns the files of a run in a bucket that `read_run` reads or lists."""
  return {name for name in names if name in (LOG, CONFIG) or name.startswith((f'{SAMPLES}/', f'{DIAGNOSES}/'))}


def read_run(workdir: Path) -> RunRecord:
  """Reads the files that a run has left in its directory so far; pictures and videos are listed, not read.

  Raises:
    UserError: the directory is not there, or nothing was logged in it.
  """
  if not workdir.is_dir():
    raise UserError(f'{workdir} is not there: give the workdir of a training run', 'workdir')
  log = workdir / LOG
  if not log.is_file():
    raise UserError(f'{workdir} has no {log.name}: give the workdir of a run that train.py has started', 'workdir')
  curves, times, left_out = _read_curves(log.read_text(encoding='utf-8', errors='replace'))
  if not curves:
    raise UserError(f'{log} has no scalars yet: wait until the run has made its first config.log_every steps')
  return RunRecord(
    workdir,
    _read_config(workdir / CONFIG),
    curves,
    left_out,
    times,
    _by_step(workdir / SAMPLES, '.png'),
    _by_step(workdir / SAMPLES, '.mp4'),
    _by_step(workdir / DIAGNOSES, '.png'),
  )


def write_page(path: Path, run: RunRecord) -> None:
  """Writes a run as a page that needs no other file, and depends on nothing but the run."""
  write_whole(path, html.page(run.title, _sections(run)))


# ---- reading


def _read_curves(text: str) -> tuple[dict[str, dict[str, dict[int, float]]], dict[str, float] | None, int]:
  """Returns curves, the last times, and how many lines were left out. If a step has a scalar twice, the later holds."""
  curves: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
  times, left_out = None, 0
  for line in text.splitlines(keepends=True):
    step, kind, scalars = _read_line(line)
    if not scalars and line.endswith('\n'):  # else it is being written, or was when the run was killed
      left_out += 1
    if kind == goodput.TIME:
      times = scalars if all(name in scalars for name in goodput.CATEGORIES) else times
      continue
    for name, value in scalars.items():
      curves[name][kind][step] = value
  return curves, times, left_out


def _read_line(line: str) -> tuple[int, str, dict[str, float]]:
  """Returns step, kind and scalars of a line; no scalars if it is damaged."""
  try:
    entry = json.loads(line)
    step, kind = entry.pop('step'), entry.pop('kind')
    entry.pop(goodput.WALL, None)
  except (ValueError, KeyError, AttributeError, TypeError):
    return 0, '', {}
  if not isinstance(step, int) or not 0 <= step < STEP_LIMIT or kind not in (TRAIN, EVAL, goodput.TIME):
    return 0, '', {}
  return step, kind, {name: float(value) for name, value in entry.items() if _is_scalar(value)}


def _is_scalar(value: object) -> bool:
  """True for values that a run may have logged, those that are not finite among them."""
  return isinstance(value, int | float) and not MAX_SCALAR < abs(value) < math.inf


def _read_config(path: Path) -> dict[str, Any] | None:
  try:
    config = json.loads(path.read_text(encoding='utf-8'))
  except (FileNotFoundError, ValueError):
    return None
  return config if isinstance(config, dict) else None


def _by_step(directory: Path, suffix: str) -> list[Path]:
  return sorted((path for path in directory.glob(f'*{suffix}') if path.stem.isdecimal()), key=_step)


def _step(path: Path) -> int:
  return int(path.stem)


# ---- sections


def _sections(run: RunRecord) -> Iterator[html.Section]:
  yield 'Summary', [_facts(run), _values(run)]
  names = [name for name in run.curves if name not in (OPEN, DAMAGED, *PACE)]
  names.sort(key=lambda name: name != 'loss')  # most readers look for that first
  yield 'Curves', [html.Paragraph(_legend(run), quiet=True), html.Gallery([_curve(name, run) for name in names])]
  paces = [name for name in PACE if name in run.curves]
  if paces:
    yield 'Throughput', [html.Gallery([_curve(name, run) for name in paces])]
  if run.times:
    yield 'Time', [html.Paragraph(goodput.describe(run.times)), _time_bar(run.times), _time_table(run.times)]
  if run.samples:
    yield 'Samples', _pictures(run.samples)
  if run.videos:
    yield 'Video', [_video(run.videos[-1])]
  if run.diagnoses:
    yield 'Diagnosis of the expert', _pictures(run.diagnoses)
  yield 'Config', [_config(run)]


def _facts(run: RunRecord) -> html.Table:
  rows = [('task', run.task or 'unknown: there is no config'), ('steps', run.steps)]
  if OPEN in run.curves:
    rows.append(('sync loss', 'not open yet' if run.opened is None else f'open since step {run.opened:,}'))
  rows.append(('damaged records left out', f'{run.damaged:,}'))
  if run.left_out:
    rows.append(('lines of metrics.jsonl that could not be used', f'{run.left_out:,}'))
  return html.Table(rows)


def _values(run: RunRecord) -> html.Table:
  """A table of every scalar's last values, and of the least and the greatest value of its evaluations."""
  rows = []
  for name, kinds in run.curves.items():
    if name in (OPEN, DAMAGED):
      continue
    last = [values[max(values)] if values else None for values in (kinds.get(TRAIN), kinds.get(EVAL))]
    found = sorted((value, step) for step, value in kinds.get(EVAL, {}).items() if math.isfinite(value))
    # Readers who know the scalar know which of the two is the best. Of equal ones the first counts.
    greatest = min(found, key=lambda pair: (-pair[0], pair[1]), default=(None, None))
    rows.append((name, *last, *(found[0] if found else (None, None)), *greatest))
  head = '', 'train, last', 'eval, last', 'eval, least', 'at step', 'eval, greatest', 'at step'
  return html.Table(rows, head, SIGNIFICANT_DIGITS)


def _legend(run: RunRecord) -> str:
  text = (
    'Blue: training, faint as logged and, where there are many points, bold as smoothed; orange: evaluation, of the '
    'moving average. The scale is logarithmic where values span more than two decades.'
  )
  return text if run.opened is None else f'{text} Dashed: the sync loss opened.'


def _curve(name: str, run: RunRecord) -> html.Block:
  """A scalar over steps, as a plot."""
  curves = {kind: _finite(values) for kind, values in run.curves[name].items()}
  everything = np.concatenate([values for _, values in curves.values()])
  if not len(everything):
    return html.Paragraph(f'{name}: no value is finite', quiet=True)
  first, last = _span(run)
  margin = max(last - first, 1) / 50

  def draw(figure: Any) -> None:
    from matplotlib.ticker import EngFormatter, NullFormatter

    axes = figure.add_subplot(xlabel='step', xlim=(first - margin, last + margin))
    axes.set_title(name, loc='left', fontsize='medium')
    if everything.min() > 0 and everything.max() > LOG_SPAN * everything.min():
      axes.set_yscale('log')
      axes.yaxis.set_major_formatter(lambda value, _: f'{value:g}')  # matplotlib's own is in the language of TeX
      axes.yaxis.set_minor_formatter(NullFormatter())
    if TRAIN in curves:
      _draw_training(axes, *curves[TRAIN])
    if EVAL in curves:
      marker = 'o' if len(curves[EVAL][0]) <= MAX_MARKED_POINTS else ''
      axes.plot(*curves[EVAL], color=html.SECOND, linewidth=1.5, marker=marker, markersize=3, zorder=3)
    if run.opened is not None:
      axes.axvline(run.opened, color=html.INK, linestyle='--', linewidth=0.8)
    axes.xaxis.set_major_formatter(EngFormatter(sep=''))
    axes.locator_params(axis='x', integer=True, nbins=7)

  return html.plot(draw, 4.7, 2.3, name)


def _draw_training(axes: Any, steps: np.ndarray, values: np.ndarray) -> None:
  """Draws (n,) values: few as they are; many as a band of the least and greatest per column, and a moving average."""
  if len(steps) <= MAX_MARKED_POINTS:
    axes.plot(steps, values, color=html.ACCENT, linewidth=1.5, marker='.')
    return
  places = np.unique(np.linspace(0, len(steps), BAND_COLUMNS, endpoint=False).astype(int))
  least, greatest = (pick.reduceat(values, places) for pick in (np.minimum, np.maximum))
  axes.fill_between(steps[places], least, greatest, color=html.ACCENT, alpha=0.3, linewidth=0.8)
  counts = np.diff(places, append=len(steps))
  middles, means = (np.add.reduceat(each, places) / counts for each in (steps, values))
  axes.plot(middles, _smoothed(means), color=html.ACCENT, linewidth=1.5)


def _smoothed(values: np.ndarray) -> np.ndarray:
  """Moving average, (n,) -> (n,), over as many values on either side: fewer towards the ends, which do not move."""
  places, reach = range(len(values)), math.ceil(len(values) * SMOOTHED_SHARE / 2)
  reaches = [min(reach, k, len(values) - 1 - k) for k in places]
  return np.array([values[k - near : k + near + 1].mean() for k, near in zip(places, reaches, strict=True)])


def _finite(values: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
  """Returns the finite values, (n,), and their steps, (n,), in the order of steps."""
  points = np.array(sorted(values.items()), np.float64).reshape(-1, 2)
  return tuple(points[np.isfinite(points[:, 1])].T)


def _span(run: RunRecord) -> tuple[int, int]:
  """The first and the last step of all curves: all plots have the same scale."""
  steps = [step for kinds in run.curves.values() for values in kinds.values() for step in values]
  return min(steps), max(steps)


def _time_table(times: dict[str, float]) -> html.Table:
  whole = max(sum(times[name] for name in goodput.CATEGORIES), 1e-9)
  rows = [(name, meaning, times[name], f'{times[name] / whole:.1%}') for name, meaning in goodput.CATEGORIES.items()]
  return html.Table(rows, ('', '', 'seconds', 'share'))


def _time_bar(times: dict[str, float]) -> html.Block:
  """The wall-clock as one bar: steps in blue, the rest in shades of orange and grey."""

  def draw(figure: Any) -> None:
    axes = figure.add_subplot(xlabel='seconds', yticks=[])
    axes.spines['left'].set_visible(False)
    begin = 0.0
    for number, name in enumerate(goodput.CATEGORIES):
      colour, alpha = (html.ACCENT, 1.0) if name == goodput.STEPS else (html.SECOND, 1 - number / 8)
      axes.barh(0, times[name], left=begin, color=colour, alpha=alpha, label=name)
      begin += times[name]
    axes.legend(loc='upper center', bbox_to_anchor=(0.5, -0.6), ncols=len(goodput.CATEGORIES), frameon=False)

  return html.plot(draw, 9.4, 1.3, 'time')


def _pictures(paths: Sequence[Path]) -> list[html.Block]:
  """The last picture, large, then thumbnails of earlier ones, evenly spread from the first on."""
  *before, last = paths
  chosen = np.linspace(0, len(before) - 1, min(MAX_THUMBNAILS, len(before))).round().astype(int)
  return [_picture(last, PAGE_WIDTH), html.Gallery([_picture(before[k], THUMBNAIL_WIDTH) for k in chosen])]


def _picture(path: Path, width: int) -> html.Block:
  """A picture of at most this width, with its step and, if there is a text beside it, its first line."""
  verdict = path.with_suffix('.txt')
  lines = verdict.read_text(encoding='utf-8', errors='replace').splitlines() if verdict.is_file() else []
  caption = ': '.join([f'step {_step(path):,}', *lines[:1]])
  coded = path.read_bytes()
  pixels = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR) if coded else None
  if pixels is None:
    return html.Paragraph(f'{caption} ({path.parent.name}/{path.name} cannot be read)')
  pixels, large = pixels[..., ::-1], width == PAGE_WIDTH
  if not large and pixels.shape[1] > width:
    height = max(1, round(width * pixels.shape[0] / pixels.shape[1]))
    pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
  shown = min(width, pixels.shape[1] * (MAX_ENLARGEMENT if large else 1))
  return html.Figure(html.Image(pixels, caption, large and len(coded) <= MAX_LOSSLESS_BYTES, shown), caption)


def _video(path: Path) -> html.Block:
  name, size = f'{path.parent.name}/{path.name}', path.stat().st_size
  if size > MAX_VIDEO_BYTES:
    return html.Paragraph(f'step {_step(path):,}: {name} is too large for this page, {size / 1e6:.1f} MB')
  caption = f'step {_step(path):,}'
  return html.Figure(html.Video(path.read_bytes(), caption), caption)


def _config(run: RunRecord) -> html.Block:
  if run.config is None:
    return html.Paragraph(f'There is no {CONFIG} that can be read.')
  return html.Table(list(_flat(run.config)))


def _flat(config: dict[str, Any], prefix: str = '') -> Iterator[tuple[str, str]]:
  for key, value in config.items():
    if isinstance(value, dict) and value:
      yield from _flat(value, f'{prefix}{key}.')
    else:
      yield prefix + key, repr(value)


if __name__ == '__main__':
  define_flags()
  cli.run(main, 'workdir', remote=('workdir', 'output'))
