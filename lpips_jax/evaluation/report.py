"""An evaluation as one HTML page: the table, every measure as a plot, faces side by side, the clips that went worst."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from lpips_jax.core import html
from lpips_jax.evaluation import leakage as leakages
from lpips_jax.evaluation.leakage import Leakage
from lpips_jax.evaluation.scorers import MEASURES
from lpips_jax.evaluation.scoring import Score
from lpips_jax.evaluation.summary import Figure, Summary, notes, table

WORST = 8  # clips
BY = 'lower_half_psnr', 'sync_confidence', 'lse_c'  # the first of these that there is says which clips went worst


def page(
  summary: Summary,
  rows: Sequence[Score],
  description: Mapping[str, Any],
  shown: Mapping[Path, str],
  leakage: Leakage | None = None,
) -> str:
  """Returns the page.

  Args:
    summary: what was found.
    rows: all of it.
    description: what was evaluated, by title.
    shown: pictures and videos to look at, and what they show.
    leakage: the second table, if it was asked for.
  """
  sections: list[html.Section] = [
    ('Systems', _table(*table(summary), notes(summary))),
    ('Measures', [html.Gallery(_plots(summary))]),
  ]
  if leakage is not None:
    sections.append(('Leakage', _table(*leakages.table(leakage), leakages.notes(leakage))))
  if shown:
    sections.append(('Samples', _samples(shown)))
  if worst := _worst(summary, rows):
    sections.append(('Clips that went worst', [worst]))
  sections.append(('What was evaluated', [html.Table([(key, str(value)) for key, value in description.items()])]))
  return html.page('Evaluation', sections)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> list[html.Block]:
  return [html.Table(rows, head), *(html.Paragraph(note, quiet=True) for note in notes)]


def _plots(summary: Summary) -> list[html.Block]:
  """Of each measure its means by system, with their intervals."""
  plots: list[html.Block] = []
  for measure in summary.measures:
    figures = {system: values[measure] for system, values in summary.systems.items() if measure in values}
    title = MEASURES[measure].title
    if not figures:
      continue
    plots.append(
      html.plot(lambda figure, f=figures, t=title: _draw(figure, f, t), 4.7, 0.5 + 0.25 * len(figures), title)
    )
  return plots


def _draw(figure: Any, figures: Mapping[str, Figure], title: str) -> None:
  axes = figure.add_subplot(xlabel=title)
  places = range(len(figures))
  for place, (mean, low, high, _) in zip(places, figures.values(), strict=True):
    axes.plot([mean], [place], 'o', color=html.ACCENT)
    if low is not None:
      axes.plot([low, high], [place, place], color=html.ACCENT)
  axes.set_yticks(places, figures)
  axes.invert_yaxis()


def _samples(shown: Mapping[Path, str]) -> list[html.Block]:
  figures: list[html.Block] = []
  for path, caption in shown.items():
    if path.suffix == '.png':
      content: html.Block = html.Image(cv2.imread(str(path))[..., ::-1], caption)
    else:
      content = html.Video(path.read_bytes(), caption)
    figures.append(html.Figure(content, caption))
  return figures


def _worst(summary: Summary, rows: Sequence[Score]) -> html.Table | None:
  """Of the first system the clips with the least of a measure that is better when there is more of it."""
  system = next(iter(summary.systems))
  measure = next((name for name in BY if name in summary.systems[system]), None)
  judged = [row for row in rows if row.system == system and row.scores.get(measure) is not None]
  columns = [name for name in summary.measures if name in summary.systems[system] and name != 'fid']
  worst = sorted(judged, key=lambda row: row.scores[measure])[:WORST]
  body = [[row.clip, *(row.scores.get(name) for name in columns)] for row in worst]
  return html.Table(body, ['clip', *(MEASURES[name].title for name in columns)]) if worst else None
