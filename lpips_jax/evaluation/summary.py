"""Sums up: means over clips, how far they can be trusted, and what was not scored."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.evaluation.scorers import MEASURES, OF_THE_EXPERT
from lpips_jax.evaluation.scoring import Score, ScoreCache
from lpips_jax.evaluation.systems import FILMED, GENERATED
from lpips_jax.metrics.fid import Moments, frechet_distance, root

DRAWS = 2000  # of the bootstrap
AT_ONCE = 1 << 20  # numbers drawn
SHARE = 95  # percent of the means of draws that lie within an interval


class Figure(NamedTuple):
  """A mean over clips and its interval, if it has one."""

  mean: float
  low: float | None
  high: float | None
  clips: int


@dataclass(frozen=True)
class Summary:
  """What an evaluation found.

  Attributes:
    systems: of each system its figures, by measure.
    scored: how many clips each system has scores of.
    skipped: of each system why it lacks how many clips.
    missing: of each measure that nothing could be judged by, why.
  """

  systems: dict[str, dict[str, Figure]]
  scored: dict[str, int]
  skipped: dict[str, Counter[str]]
  missing: dict[str, str]

  @property
  def measures(self) -> list[str]:
    """The columns: what something is in, and what should be there."""
    measured = {measure for figures in self.systems.values() for measure in figures}
    return [measure for measure in MEASURES if measure in measured or measure in self.missing]


def summarise(
  systems: Sequence[str], rows: Iterable[Score], score_cache: ScoreCache, missing: Mapping[str, str]
) -> Summary:
  """Sums up rows.

  Args:
    systems: in their order.
    rows: of all their clips.
    ledger: has the features of the rows.
    missing: of each measure that nobody could judge, why.

  Raises:
    UserError: nothing was scored.
  """
  rows = list(rows)
  scored = {system: [row for row in rows if row.system == system and not row.skipped] for system in systems}
  reasons = {system: Counter(row.skipped for row in rows if row.system == system and row.skipped) for system in systems}
  if not any(scored.values()):
    raise UserError(f'none of the {len({row.clip for row in rows})} clips could be scored: {rows[0].skipped}')
  figures = {system: _figures(of_system) for system, of_system in scored.items()}
  for system, value in _frechet(scored, score_cache).items():
    figures[system]['fid'] = value
  return Summary(figures, {system: len(found) for system, found in scored.items()}, reasons, dict(missing))


def interval(values: Sequence[float]) -> tuple[float, float]:
  """Where the mean would lie for other clips of the same kind: the bootstrap's percentiles (Efron, 1979)."""
  values, generator = np.asarray(values, np.float64), np.random.default_rng(0)
  draws = max(1, AT_ONCE // len(values))
  blocks = [min(draws, DRAWS - first) for first in range(0, DRAWS, draws)]
  means = [values[generator.integers(len(values), size=(block, len(values)))].mean(1) for block in blocks]
  low, high = np.percentile(np.concatenate(means), [(100 - SHARE) / 2, (100 + SHARE) / 2])
  return float(low), float(high)


def figure_of(values: Sequence[float]) -> Figure:
  """The mean of some clips, at least one."""
  return Figure(float(np.mean(values)), *interval(values), len(values))


def shown_as(figure: Figure | None) -> str:
  """A cell of a table, empty without a figure."""
  if figure is None:
    return ''
  if figure.low is None:
    return f'{figure.mean:.3g}'
  return f'{figure.mean:.3f} ± {(figure.high - figure.low) / 2:.3f}'


def flat(summary: Summary) -> dict[str, float]:
  """Names the means: `<measure>` of `generated` and of what only filmed clips have, `<measure>_<system>` of others."""
  return {
    measure if system == GENERATED or measure in OF_THE_EXPERT else f'{measure}_{system.replace(" ", "_")}': figure.mean
    for system, figures in summary.systems.items()
    for measure, figure in figures.items()
  }


def as_json(summary: Summary) -> dict[str, Any]:
  """All of it, as JSON has it."""
  return {
    'systems': {
      system: {
        'clips': summary.scored[system],
        'skipped': dict(summary.skipped[system]),
        'measures': {measure: figure._asdict() for measure, figure in figures.items()},
      }
      for system, figures in summary.systems.items()
    },
    'missing': summary.missing,
  }


def table(summary: Summary) -> tuple[list[str], list[list[str]]]:
  """The head and the rows of a table: a row a system, a column a measure, means with half of their intervals."""
  rows = []
  for system, figures in summary.systems.items():
    cells = [shown_as(figures.get(measure)) for measure in summary.measures]
    rows.append([system, str(summary.scored[system]), *cells])
  return ['system', 'clips', *(heading(*MEASURES[name]) for name in summary.measures)], rows


def heading(title: str, higher: bool | None) -> str:
  """A title and an arrow to where it is better."""
  return title + {True: ' ↑', False: ' ↓', None: ''}[higher]


def markdown(summary: Summary) -> str:
  """The table as Markdown, and what is not in it."""
  return '\n\n'.join([as_markdown(*table(summary)), *notes(summary)]) + '\n'


def as_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """A table, without a line end after it."""
  widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
  lines = [head, ['-' * width for width in widths], *rows]
  return '\n'.join('| ' + ' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + ' |' for line in lines)


def notes(summary: Summary) -> list[str]:
  """What the table does not say, a sentence each."""
  said = [f'± is half of the interval that has {SHARE} % of {DRAWS:,} bootstrap means over clips.']
  expert = summary.systems.get(FILMED, {})
  if OF_THE_EXPERT[0] in expert:
    accuracy, ranking, in_place = (expert[name].mean for name in OF_THE_EXPERT)
    said.append(
      f'The sync expert tells in-sync from off-sync windows of these clips as filmed in {accuracy:.1%}, ranks them in '
      f'{ranking:.1%}, and finds {in_place:.1%} of the clips within a frame of being in sync.'
    )
  for reason in dict.fromkeys(summary.missing.values()):
    titles = [MEASURES[name].title for name in MEASURES if summary.missing.get(name) == reason]
    said.append(f'{", ".join(titles)}: not measured, {reason}.')
  for system, reasons in summary.skipped.items():
    said += [f'{system}: {count} clips were not scored: {reason}.' for reason, count in reasons.most_common()]
  return said


def _figures(rows: Sequence[Score]) -> dict[str, Figure]:
  figures = {}
  for measure in [*MEASURES, *OF_THE_EXPERT]:
    values = [row.scores[measure] for row in rows if row.scores.get(measure) is not None]
    if values:
      figures[measure] = figure_of(values)
  return figures


def _frechet(scored: Mapping[str, Sequence[Score]], score_cache: ScoreCache) -> dict[str, Figure]:
  """FID of each system against what was filmed, if both have features of two images."""
  filmed = _moments(score_cache.features(scored.get(FILMED, ())))
  if filmed is None:
    return {}
  found, root_of_filmed = {}, root(filmed.covariance)
  for system, rows in scored.items():
    made = _moments(score_cache.features(rows)) if system != FILMED else None
    if made is not None:
      found[system] = Figure(frechet_distance(filmed, made, root_of_filmed), None, None, len(rows))
  return found


def _moments(features: Iterator[np.ndarray]) -> Moments | None:
  """The moments of all features, or None where there are fewer than two."""
  moments = None
  for of_clip in features:
    moments = moments or Moments(of_clip.shape[1])
    moments.add(of_clip)
  return moments if moments and moments.count > 1 else None
