"""The results of a sweep: as a table of text, as CSV, and as a page with the curves of all runs."""

import csv
import io
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lpips_jax.core import html
from lpips_jax.core.files import PathLike
from lpips_jax.storage import files
from lpips_jax.storage.places import join
from lpips_jax.training.report import DAMAGED, EVAL, LOG_SPAN, MAX_MARKED_POINTS, OPEN, PACE, TRAIN
from lpips_jax.training.sweeping.grids import short_keys
from lpips_jax.training.sweeping.results import FINISHED, LOSS, SEED, Result, Results, thinned, without_seed

Style = Literal['-', '--', ':', '-.']
COLOURS = '#3b82f6', '#f59e0b', '#10b981', '#ef4444', '#8b5cf6', '#06b6d4', '#ec4899', '#84cc16'  # on white and black
STYLES: tuple[Style, ...] = ('-', '--', ':', '-.')
MAX_POINTS = 120  # of a curve of training
SIGNIFICANT_DIGITS = 4
ROUNDING = 1e-6  # of float32, relative: deviations below it are none
LEGEND_WIDTH, LEGEND_ROW, LEGEND_COLUMN = 9.6, 0.22, 46  # inches, inches, characters
Rows = list[list[object]]
Look = tuple[Style, str]  # of a line; its colour


def text(results: Results) -> str:
  """Returns the table of all runs as lines of text, and that of the seeds below it."""
  lines = [f'{_summary(results)}', '', *_aligned([_head(results), *_rows(results)])]
  if results.spreads:
    lines += ['', 'over seeds, mean ± standard deviation:', '']
    lines += _aligned([_spread_head(results), *_spread_rows(results)])
  if results.remark:
    lines += ['', results.remark]
  return '\n'.join(lines)


def write(results: Results, workdir: PathLike) -> list[str | Path]:
  """Writes sweep.csv and sweep.html to a directory or beneath a URL, and returns their places.

  Raises:
    UserError: the URL cannot be written to, or there is something else than a file.
    OSError: a file cannot be written.
  """
  contents = {'sweep.csv': _csv(results), 'sweep.html': page(results)}
  for name, content in contents.items():
    files.write(join(workdir, name), content)
  return [join(workdir, name) for name in contents]


def page(results: Results) -> str:
  """Returns a page, as HTML, that needs no other file."""
  notes = [html.Paragraph(note) for note in (_summary(results), results.remark) if note]
  keys, columns = len(results.sweep.keys), len(_head(results))
  # Two tables, as one of all columns would be too wide.
  progress = [k for k in range(columns) if k < keys + 4 or k == columns - 1]
  metrics = [k for k in range(columns - 1) if k < keys or k >= keys + 3]
  sections: list[html.Section] = [('Runs', [*notes, _table(results, progress)])]
  if results.metrics:
    evaluated = replace(results, runs=[run for run in results.runs if run.best is not None])
    sections.append(('Metrics', [_table(evaluated, metrics)]))
  if results.spreads:
    note = html.Paragraph('Mean ± standard deviation over seeds, each run at its best evaluation.', quiet=True)
    sections.append(('Seeds', [note, html.Table(_spread_rows(results), _spread_head(results))]))
  if any(run.curves for run in results.runs):
    sections.append(('Curves', list(_curves(results))))
  given = [('config', results.sweep.config), *results.sweep.overrides.items()]
  sections.append(('The same for all runs', [html.Table(given)]))
  return html.page(f'Sweep over {", ".join(short_keys(results.sweep.keys).values())}', sections)


def _table(results: Results, columns: Sequence[int]) -> html.Table:
  """Some columns of the table of all runs."""
  head, rows = _head(results), _rows(results)
  return html.Table([[row[k] for k in columns] for row in rows], [head[k] for k in columns], SIGNIFICANT_DIGITS)


def _summary(results: Results) -> str:
  done, number = sum(run.state == FINISHED for run in results.runs), len(results.runs)
  return (
    f'{number} runs, {done} finished. The best first, by the {results.criterion} of an evaluation; '
    'metrics are those of that evaluation.'
  )


def _head(results: Results) -> list[str]:
  shown = short_keys(results.sweep.keys)
  best = ['best at', *results.metrics, f'last {results.criterion.metric}'] if results.metrics else []
  return [*(shown[key] for key in results.sweep.keys), 'step', 'state', *best]


def _rows(results: Results) -> Rows:
  criterion = results.criterion.metric
  return [
    [
      *run.values.values(),
      f'{run.step:,}' + (f' of {run.steps:,}' if run.steps else ''),
      run.state,
      *([run.best, *map(run.at_best, results.metrics), run.at_last(criterion)] if results.metrics else []),
    ]
    for run in results.runs
  ]


def _spread_head(results: Results) -> list[str]:
  shown = short_keys(list(results.spreads[0].values))
  return [*shown.values(), 'seeds', *results.metrics]


def _spread_rows(results: Results) -> Rows:
  rows: Rows = []
  for spread in results.spreads:
    cells = []
    for metric in results.metrics:
      mean, deviation = spread.mean(metric), spread.deviation(metric)
      cell = '' if mean is None else f'{mean:.{SIGNIFICANT_DIGITS}g}'
      if mean is not None and deviation is not None:
        cell += f' ± {deviation:.2g}' if deviation > ROUNDING * abs(mean) else ' ± 0'
      cells.append(cell)
    rows.append([*spread.values.values(), f'{len(spread.results)} of {spread.runs}', *cells])
  return rows


def _csv(results: Results) -> str:
  metrics = [f'{when}.{metric}' for when in ('best', 'last') for metric in results.metrics]
  rows: Rows = [['run', *results.sweep.keys, 'state', 'step', 'steps', 'best.step', *metrics]]
  for run in results.runs:
    values = [at(metric) for at in (run.at_best, run.at_last) for metric in results.metrics]
    rows.append([run.name, *run.values.values(), run.state, run.step, run.steps, run.best, *values])
  written = io.StringIO()
  csv.writer(written, lineterminator='\n').writerows(rows)
  return written.getvalue()


def _aligned(rows: Sequence[Sequence[object]]) -> list[str]:
  """Returns rows as lines, their columns aligned: texts to the left, numbers to the right."""
  cells = [[_cell(cell) for cell in row] for row in rows]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  texts = [any(isinstance(cell, str) for cell in column[1:]) for column in zip(*rows, strict=True)]
  return [
    '  '.join(
      cell.ljust(width) if is_text else cell.rjust(width)
      for cell, width, is_text in zip(row, widths, texts, strict=True)
    ).rstrip()
    for row in cells
  ]


def _cell(cell: object) -> str:
  if cell is None:
    return ''
  return (
    f'{cell:.{SIGNIFICANT_DIGITS}g}' if isinstance(cell, float) else f'{cell:,}' if isinstance(cell, int) else str(cell)
  )


# ---- curves


def _curves(results: Results) -> Iterable[html.Block]:
  """A legend, then a plot for each metric: of the evaluations if there are any, else of training."""
  looks = list(itertools.product(STYLES, COLOURS))
  groups = list(dict.fromkeys(without_seed(run.values) for run in results.runs if run.curves))
  look_of = dict(zip(groups, looks, strict=False))  # runs that differ in their seeds alone look alike
  drawn = [(run, look_of[without_seed(run.values)]) for run in results.runs if without_seed(run.values) in look_of]
  seeds = ' Runs that differ in their seeds alone look alike.' if results.spreads else ''
  left_out = f' The best {len(looks)} are drawn.' if len(groups) > len(looks) else ''
  yield html.Paragraph(f'The best first.{seeds}{left_out}', quiet=True)
  yield _legend(results, look_of)
  names = dict.fromkeys([*results.metrics, *(name for run in results.runs for name in run.curves)])
  plots = []
  for name in names:
    if name in (OPEN, DAMAGED, *PACE[1:]):  # each pace is a multiple of the first
      continue
    kinds = [kind for kind in (EVAL, TRAIN) if any(run.curves.get(name, {}).get(kind) for run, _ in drawn)]
    for kind in kinds if name == LOSS else kinds[:1]:
      plots.append(_plot(name, kind, drawn))
  yield html.Gallery(plots)


def _legend(results: Results, look_of: dict[tuple[str, ...], Look]) -> html.Block:
  shown = short_keys([key for key in results.sweep.keys if key != SEED]).values()
  labels = [
    ', '.join(f'{key}={value}' for key, value in zip(shown, values, strict=True)) or 'all seeds' for values in look_of
  ]
  longest = max(map(len, labels))
  columns = max(1, min(3, 3 * LEGEND_COLUMN // max(longest, 1)))

  def draw(figure: Any) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=colour, linestyle=style, linewidth=1.5) for style, colour in look_of.values()]
    figure.legend(lines, labels, loc='center left', ncols=columns, frameon=False, handlelength=3)

  return html.plot(draw, LEGEND_WIDTH, LEGEND_ROW * -(-len(labels) // columns) + 0.1, 'colours of the runs')


def _plot(name: str, kind: str, drawn: Sequence[tuple[Result, Look]]) -> html.Block:
  title = f'{name}, {"evaluated" if kind == EVAL else "in training"}'
  curves = [(thinned(run.curves.get(name, {}).get(kind, {}), MAX_POINTS), look) for run, look in drawn]
  everything = [value for (_, values), _ in curves for value in values]
  few = max(len(values) for (_, values), _ in curves) <= MAX_MARKED_POINTS
  if not everything:
    return html.Paragraph(f'{title}: no value is finite', quiet=True)

  def draw(figure: Any) -> None:
    from matplotlib.ticker import EngFormatter, NullFormatter

    axes = figure.add_subplot(xlabel='step')
    axes.set_title(title, loc='left', fontsize='medium')
    if min(everything) > 0 and max(everything) > LOG_SPAN * min(everything):
      axes.set_yscale('log')
      axes.yaxis.set_major_formatter(lambda value, _: f'{value:g}')
      axes.yaxis.set_minor_formatter(NullFormatter())
    for (steps, values), (style, colour) in reversed(curves):  # the best on top
      axes.plot(steps, values, color=colour, linestyle=style, linewidth=1.5, marker='.' if kind == EVAL and few else '')
    axes.xaxis.set_major_formatter(EngFormatter(sep=''))
    axes.locator_params(axis='x', integer=True, nbins=7)

  return html.plot(draw, 4.7, 2.5, title)
