"""An evaluation as one page: the table, a plot of each measure, faces side by side, and the clips that went worst."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from lpips_jax.core import html
from lpips_jax.evaluation import leakage as leakages
from lpips_jax.evaluation.leakage import LeakageTable
from lpips_jax.evaluation.measures import in_narrow_tables
from lpips_jax.evaluation.scoring import Score
from lpips_jax.evaluation.summary import Estimate, Summary, notes, table

if TYPE_CHECKING:
  from matplotlib.figure import Figure as Drawing

WORST_CLIPS = 8
RANKED_BY = 'lower_half_psnr', 'sync_confidence', 'lse_c'  # the first of these that was taken ranks the clips


def page(
  summary: Summary,
  scores: Sequence[Score],
  description: Mapping[str, Any],
  samples: Mapping[Path, str],
  leakage: LeakageTable | None = None,
) -> str:
  """Returns the page as HTML.

  Args:
    summary: the table.
    scores: all scores.
    description: what was evaluated, by title.
    samples: pictures and videos to look at, with their captions.
    leakage: the second table, if it is wanted.
  """
  sections: list[html.Section] = [
    ('Systems', _systems(summary)),
    ('Measures', [html.Gallery(_plots(summary))]),
  ]
  if leakage is not None:
    sections.append(('Leakage', _table(*leakages.table(leakage), leakages.notes(leakage))))
  if samples:
    sections.append(('Samples', [_sample(path, caption) for path, caption in samples.items()]))
  if worst := _worst_clips(summary, scores):
    sections.append(('Clips that went worst', worst))
  sections.append(('What was evaluated', [html.Table([(key, str(value)) for key, value in description.items()])]))
  return html.page('Evaluation', sections)


def _systems(summary: Summary) -> list[html.Block]:
  """The table, in parts that fit on the page, and its notes."""
  tables = [table(summary, part) for part in in_narrow_tables(summary.measures)]
  lines = [html.Paragraph(line, quiet=True) for line in notes(summary)]
  return [*(html.Table(rows, head) for head, rows in tables), *lines]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[str]) -> list[html.Block]:
  return [html.Table(rows, head), *(html.Paragraph(line, quiet=True) for line in lines)]


def _plots(summary: Summary) -> list[html.Block]:
  """A plot of each measure: means by system, with their intervals."""
  plots: list[html.Block] = []
  for measure in summary.measures:
    estimates = {system: values[measure] for system, values in summary.systems.items() if measure in values}
    title = summary.columns[measure].title
    if estimates:
      draw = partial(_draw, estimates=estimates, title=title)
      plots.append(html.plot(draw, 4.7, 0.5 + 0.25 * len(estimates), title))
  return plots


def _draw(drawing: 'Drawing', estimates: Mapping[str, Estimate], title: str) -> None:
  axes = drawing.add_subplot(xlabel=title)
  places = range(len(estimates))
  for place, (mean, low, high, _) in zip(places, estimates.values(), strict=True):
    axes.plot([mean], [place], 'o', color=html.ACCENT)
    if low is not None and high is not None:
      axes.plot([low, high], [place, place], color=html.ACCENT)
  axes.set_yticks(places, list(estimates))
  axes.invert_yaxis()


def _sample(path: Path, caption: str) -> html.Figure:
  if path.suffix != '.png':
    return html.Figure(html.Video(path.read_bytes(), caption), caption)
  pixels = cv2.imread(str(path))
  assert pixels is not None  # the evaluation has just written it
  return html.Figure(html.Image(pixels[..., ::-1], caption), caption)


def _worst_clips(summary: Summary, scores: Sequence[Score]) -> list[html.Block]:
  """The clips of the first system with the lowest values of a measure of which more is better, if there are any."""
  system, estimates = next(iter(summary.systems.items()))
  ranking = next((measure for measure in RANKED_BY if measure in estimates), None)
  if ranking is None:
    return []
  columns = [measure for measure in summary.measures if measure in estimates and measure != 'fid']
  ranked = [
    (value, score) for score in scores if score.system == system and (value := score.scores.get(ranking)) is not None
  ]
  worst = [score for _, score in sorted(ranked, key=lambda pair: pair[0])[:WORST_CLIPS]]
  tables: list[html.Block] = []
  for part in in_narrow_tables(columns) if worst else ():
    rows = [[score.clip, *(score.scores.get(measure) for measure in part)] for score in worst]
    tables.append(html.Table(rows, ['clip', *(summary.columns[measure].title for measure in part)]))
  return tables
