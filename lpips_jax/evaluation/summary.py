"""Averages scores over clips, says how far the means can be trusted, and lists what was not scored."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.evaluation.measures import AV_RANKING, EXPERT_MEASURES, MEASURES, Measure
from lpips_jax.evaluation.scoring import Score, ScoreCache
from lpips_jax.evaluation.systems import FILMED, GENERATED
from lpips_jax.metrics.fid import Moments, frechet_distance, square_root

BOOTSTRAP_DRAWS = 2000
MAX_DRAWN_AT_ONCE = 1 << 20  # numbers
INTERVAL_PERCENT = 95  # of the bootstrap means lie within an interval


class Estimate(NamedTuple):
  """A mean over clips with its interval, if it has one.

  Attributes:
    mean: the mean, or a value for all clips together, such as FID.
    low, high: the ends of the interval; None without one.
    clips: the number of clips.
  """

  mean: float
  low: float | None
  high: float | None
  clips: int


@dataclass(frozen=True)
class Summary:
  """The result of an evaluation.

  Attributes:
    systems: the estimates of each system, by measure.
    scored: the number of clips of which each system has scores.
    skipped: for each system the reasons why clips were skipped, and how often each of them applied.
    missing: for each measure that could not be taken the reason.
    columns: the measures that may be in the table, in order.
    remarks: what is to be known about the scorers, a sentence each.
  """

  systems: dict[str, dict[str, Estimate]]
  scored: dict[str, int]
  skipped: dict[str, Counter[str]]
  missing: dict[str, str]
  columns: Mapping[str, Measure]
  remarks: Sequence[str]

  @property
  def measures(self) -> list[str]:
    """The columns of the table: measures that were taken."""
    measured = {measure for estimates in self.systems.values() for measure in estimates}
    return [measure for measure in self.columns if measure in measured]


def summarise(
  systems: Sequence[str],
  scores: Iterable[Score],
  score_cache: ScoreCache,
  missing: Mapping[str, UserError],
  columns: Mapping[str, Measure] = MEASURES,
  remarks: Sequence[str] = (),
) -> Summary:
  """Averages scores.

  Args:
    systems: in the order of the table.
    scores: of all their clips.
    score_cache: holds the features of the scores.
    missing: for each measure that could not be taken the reason; the summary shows it as a command does.
    columns: the measures that may be in the table, in order.
    remarks: what is to be known about the scorers, a sentence each.

  Raises:
    UserError: nothing was scored.
  """
  scores = list(scores)
  scored = {system: [score for score in scores if score.system == system and not score.skipped] for system in systems}
  reasons = {
    system: Counter(score.skipped for score in scores if score.system == system and score.skipped) for system in systems
  }
  if not any(scored.values()):
    raise UserError(f'none of the {len({score.clip for score in scores})} clips could be scored: {scores[0].skipped}')
  estimates = {system: _means(of_system, columns) for system, of_system in scored.items()}
  for system, fid in _fid(scored, score_cache).items():
    estimates[system]['fid'] = fid
  return Summary(
    estimates,
    {system: len(of_system) for system, of_system in scored.items()},
    reasons,
    {measure: error.as_flags() for measure, error in missing.items()},
    columns,
    remarks,
  )


def interval(
  values: Sequence[float] | np.ndarray, weights: Sequence[float] | np.ndarray | None = None
) -> tuple[float, float]:
  """Returns where the mean would lie for other clips of the same kind: the bootstrap's percentiles (Efron, 1979).

  Args:
    values: (n,) finite numbers, n >= 1.
    weights: (n,) of the mean, > 0; without them it is the plain one.
  """
  values, generator = np.asarray(values, np.float64), np.random.default_rng(0)
  block = max(1, MAX_DRAWN_AT_ONCE // len(values))
  blocks = [min(block, BOOTSTRAP_DRAWS - first) for first in range(0, BOOTSTRAP_DRAWS, block)]
  drawn = (generator.integers(len(values), size=(draws, len(values))) for draws in blocks)
  if weights is None:
    means = [values[clips].mean(1) for clips in drawn]
  else:
    weights = np.asarray(weights, np.float64)
    means = [(values * weights)[clips].sum(1) / weights[clips].sum(1) for clips in drawn]
  ends = [(100 - INTERVAL_PERCENT) / 2, (100 + INTERVAL_PERCENT) / 2]
  low, high = np.percentile(np.concatenate(means), ends)
  return float(low), float(high)


def estimate_mean(
  values: Sequence[float] | np.ndarray, weights: Sequence[float] | np.ndarray | None = None
) -> Estimate:
  """Returns the mean over clips, at least one, with its interval; of weights see there."""
  mean = np.mean(values) if weights is None else np.average(values, weights=weights)
  return Estimate(float(mean), *interval(values, weights), len(values))


def format_estimate(estimate: Estimate | None) -> str:
  """Returns a cell of a table: the mean ± half of its interval; '' without an estimate."""
  if estimate is None:
    return ''
  if estimate.low is None or estimate.high is None:
    return f'{estimate.mean:.3g}'
  return f'{estimate.mean:.3f} ± {(estimate.high - estimate.low) / 2:.3f}'


def flat_means(summary: Summary) -> dict[str, float]:
  """Returns all means: `<measure>` of `generated` and of the expert's own measures, `<measure>_<system>` of others."""
  return {
    measure
    if system == GENERATED or measure in (*EXPERT_MEASURES, AV_RANKING)
    else f'{measure}_{system.replace(" ", "_")}': estimate.mean
    for system, estimates in summary.systems.items()
    for measure, estimate in estimates.items()
  }


def as_json(summary: Summary) -> dict[str, Any]:
  """Returns the whole summary as values that JSON can hold."""
  found = {
    'systems': {
      system: {
        'clips': summary.scored[system],
        'skipped': dict(summary.skipped[system]),
        'measures': {measure: estimate._asdict() for measure, estimate in estimates.items()},
      }
      for system, estimates in summary.systems.items()
    },
    'missing': summary.missing,
  }
  return found | ({'remarks': list(summary.remarks)} if summary.remarks else {})


def table(summary: Summary, measures: Sequence[str] | None = None) -> tuple[list[str], list[list[str]]]:
  """Returns the head and the rows of the table: a row for each system, a column for each measure.

  Args:
    summary: the estimates.
    measures: the columns; all by default.
  """
  measures = summary.measures if measures is None else measures
  columns = [summary.columns[measure] for measure in measures]
  titles = [heading(column.title, column.higher_is_better) for column in columns]
  rows = []
  for system, estimates in summary.systems.items():
    cells = [format_estimate(estimates.get(measure)) for measure in measures]
    rows.append([system, str(summary.scored[system]), *cells])
  return ['system', 'clips', *titles], rows


def heading(title: str, higher_is_better: bool | None) -> str:
  """Returns a title with an arrow in the direction that is better."""
  return title + {True: ' ↑', False: ' ↓', None: ''}[higher_is_better]


def markdown(summary: Summary) -> str:
  """Returns the table as Markdown, with its notes."""
  return '\n\n'.join([markdown_table(*table(summary)), *notes(summary)]) + '\n'


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  """Returns a table as Markdown, without a line end after it."""
  widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
  lines = [head, ['-' * width for width in widths], *rows]
  return '\n'.join('| ' + ' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + ' |' for line in lines)


def notes(summary: Summary) -> list[str]:
  """Returns what the table does not say, a sentence each."""
  found = [
    f'± is half of the interval that has {INTERVAL_PERCENT} % of {BOOTSTRAP_DRAWS:,} bootstrap means over clips.'
  ]
  filmed = summary.systems.get(FILMED, {})
  if EXPERT_MEASURES[0] in filmed:
    accuracy, ranking, offset_correct = (filmed[measure].mean for measure in EXPERT_MEASURES)
    found.append(
      f'The sync expert tells in-sync from off-sync windows of these clips as filmed in {accuracy:.1%}, ranks them in '
      f'{ranking:.1%}, and finds {offset_correct:.1%} of the clips within a frame of being in sync.'
    )
  if AV_RANKING in filmed:
    found.append(
      'The audio-visual expert finds lips and sound of these clips as filmed more alike than with the sound three '
      f'frames and more away in {filmed[AV_RANKING].mean:.1%}.'
    )
  if any(summary.columns[measure].weight for measure in summary.measures):
    found.append('An error of lip readers is the edits of all clips over all that their lips should say.')
  found += summary.remarks
  for reason in dict.fromkeys(summary.missing.values()):
    titles = [column.title for measure, column in summary.columns.items() if summary.missing.get(measure) == reason]
    found.append(f'{", ".join(titles)}: not measured, {reason}.')
  for system, reasons in summary.skipped.items():
    found += [f'{system}: {count} clips were not scored: {reason}.' for reason, count in reasons.most_common()]
  return found


def _means(scores: Sequence[Score], columns: Mapping[str, Measure]) -> dict[str, Estimate]:
  weights = {measure: column.weight for measure, column in columns.items()}
  estimates = {}
  for measure, weight in (weights | dict.fromkeys([*EXPERT_MEASURES, AV_RANKING])).items():
    measured = [(value, score.scores) for score in scores if (value := score.scores.get(measure)) is not None]
    if measured:
      of_clips = None if weight is None else [found[weight] or 0.0 for _, found in measured]
      estimates[measure] = estimate_mean([value for value, _ in measured], of_clips)
  return estimates


def _fid(scored: Mapping[str, Sequence[Score]], score_cache: ScoreCache) -> dict[str, Estimate]:
  """FID of each system against the filmed clips, if both have features of at least two images."""
  filmed = _moments(score_cache.features(scored.get(FILMED, ())))
  if filmed is None:
    return {}
  estimates, root_of_filmed = {}, square_root(filmed.covariance)
  for system, scores in scored.items():
    moments = _moments(score_cache.features(scores)) if system != FILMED else None
    if moments is not None:
      fid = frechet_distance(filmed, moments, root_of_filmed)
      estimates[system] = Estimate(fid, None, None, len(scores))
  return estimates


def _moments(features: Iterator[np.ndarray]) -> Moments | None:
  """The moments of all features; None if there are fewer than two."""
  moments = None
  for of_clip in features:
    moments = moments or Moments(of_clip.shape[1])
    moments.add(of_clip)
  return moments if moments and moments.count > 1 else None
