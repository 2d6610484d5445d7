"""Reads what the runs of a sweep have logged so far, and orders them: the best first."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lpips_jax.core.errors import UserError
from lpips_jax.training.report import EVAL, TRAIN, read_run
from lpips_jax.training.sweeping.running import saved_step
from lpips_jax.training.sweeping.sweeps import Sweep

LOSS, RANKING = 'loss', 'ranking'  # evaluated; a sync expert has both, as in pretrained.checkpoint_dir
SEED = 'seed'  # key of the config
NOT_STARTED, UNFINISHED, FINISHED, NOT_FINITE = 'not started', 'unfinished', 'finished', 'not finite'
Curves = dict[str, dict[str, dict[int, float]]]  # values by metric, by TRAIN or EVAL, and by step


class Criterion(NamedTuple):
  """The evaluated metric that tells which run is the best."""

  metric: str
  greatest: bool

  def key(self, value: float | None) -> float:
    """Returns a number that is less for what is better, infinite for a value that says nothing."""
    if value is None or not math.isfinite(value):
      return math.inf
    return -value if self.greatest else value

  def __str__(self) -> str:
    return f'{"greatest" if self.greatest else "least"} {self.metric}'


@dataclass(frozen=True)
class Result:
  """A run, as far as it has come.

  Attributes:
    name: of the run.
    values: of the keys that differ between runs.
    state: one of the four above; 'not finite' for a run that such a loss has ended.
    step: the last that was logged or saved.
    steps: the number asked for; None if it is not known yet.
    curves: of its metrics; empty if nothing was logged.
    evaluations: the metrics of each evaluation, by step.
    best: the step of its best evaluation; None if there is none.
  """

  name: str
  values: dict[str, str]
  state: str
  step: int
  steps: int | None
  curves: Curves
  evaluations: dict[int, dict[str, float]]
  best: int | None

  def at_best(self, metric: str) -> float | None:
    return self.evaluations[self.best].get(metric) if self.best is not None else None

  def at_last(self, metric: str) -> float | None:
    return self.evaluations[max(self.evaluations)].get(metric) if self.evaluations else None


class Spread(NamedTuple):
  """Runs that differ in their seeds alone.

  Attributes:
    values: of the other keys.
    results: of the runs that were evaluated.
    runs: the number of all.
  """

  values: dict[str, str]
  results: list[Result]
  runs: int

  def mean(self, metric: str) -> float | None:
    """Returns the mean over seeds of a metric at each run's best evaluation."""
    found = self._found(metric)
    return statistics.fmean(found) if found else None

  def deviation(self, metric: str) -> float | None:
    """Returns the standard deviation, with n - 1; None for fewer than two runs."""
    found = self._found(metric)
    return statistics.stdev(found) if len(found) > 1 else None

  def _found(self, metric: str) -> list[float]:
    values = [result.at_best(metric) for result in self.results]
    return [value for value in values if value is not None and math.isfinite(value)]


@dataclass(frozen=True)
class Results:
  """All runs of a sweep.

  Attributes:
    sweep: the sweep.
    criterion: tells which is best.
    metrics: the names of all that was evaluated, that of the criterion first.
    runs: the best first; those without an evaluation last.
    spreads: one for all runs that differ in their seeds alone, the best mean first; empty unless seeds differ.
  """

  sweep: Sweep
  criterion: Criterion
  metrics: list[str]
  runs: list[Result]
  spreads: list[Spread]

  @property
  def remark(self) -> str:
    """A warning about the order, if it compares what cannot be compared; else empty."""
    changed = [key for key in self.sweep.keys if key.startswith('losses.')]
    if self.criterion.metric != LOSS or not changed:
      return ''
    return (
      f'The loss is a sum that {", ".join(changed)} weighs: that of one run says little about another. '
      'Order the runs by a metric instead, with --least or --greatest.'
    )


def read_results(sweep: Sweep, directory: Path, criterion: Criterion | None = None) -> Results:
  """Reads the logs of all runs of a sweep, of which any may be in progress or not begun.

  Args:
    sweep: the runs.
    directory: from `sweeps.to_read`.
    criterion: by default the greatest ranking if any run logged one, as a sync expert does, else the least loss.

  Raises:
    UserError: no run has logged the metric of the criterion, although some have been evaluated.
  """
  logged = {name: _read_curves(directory / name) for name in sweep.runs}
  curves = {name: of_run for name, (of_run, _) in logged.items()}
  metrics = list(dict.fromkeys(m for of_run in curves.values() for m, kinds in of_run.items() if kinds.get(EVAL)))
  criterion = criterion or (Criterion(RANKING, True) if RANKING in metrics else Criterion(LOSS, False))
  if metrics and criterion.metric not in metrics:
    raise UserError(f'no run has evaluated {criterion.metric!r}: there are {", ".join(metrics)}')
  metrics.sort(key=lambda metric: (metric != criterion.metric, metric != LOSS))
  runs = [_result(name, sweep, directory / name, *logged[name], criterion) for name in sweep.runs]
  runs.sort(key=lambda run: _badness(run.at_best(criterion.metric), run.at_best(LOSS), criterion))
  return Results(sweep, criterion, metrics, runs, _spreads(runs, sweep, criterion))


def thinned(values: dict[int, float], most: int) -> tuple[list[float], list[float]]:
  """Returns finite values in the order of steps, and their steps; where there are more than `most`, means of parts."""
  points = [(float(step), value) for step, value in sorted(values.items()) if math.isfinite(value)]
  if not points:
    return [], []
  size = math.ceil(len(points) / most)
  parts = [points[k : k + size] for k in range(0, len(points), size)]
  means = [tuple(statistics.fmean(numbers) for numbers in zip(*part, strict=True)) for part in parts]
  return [step for step, _ in means], [value for _, value in means]


def _read_curves(workdir: Path) -> tuple[Curves, int | None]:
  """Returns a run's curves and the number of its steps; nothing of a run that has logged nothing."""
  try:
    run = read_run(workdir)
  except UserError:
    return {}, None
  steps = (run.config or {}).get('steps')
  return run.curves, steps if isinstance(steps, int) else None


def _result(name: str, sweep: Sweep, workdir: Path, curves: Curves, steps: int | None, criterion: Criterion) -> Result:
  evaluations: dict[int, dict[str, float]] = {}
  for metric, kinds in curves.items():
    for step, value in kinds.get(EVAL, {}).items():
      evaluations.setdefault(step, {})[metric] = value
  best = min(evaluations, key=lambda step: _order(evaluations[step], step, criterion), default=None)
  saved = saved_step(workdir)
  step = max([saved, *(s for kinds in curves.values() for kind in (TRAIN, EVAL) for s in kinds.get(kind, {}))])
  state = UNFINISHED if step or workdir.is_dir() else NOT_STARTED
  if steps and saved >= steps:
    state = FINISHED
  elif any(int(path.stem.split('_')[2]) > step for path in workdir.glob('not_finite_[0-9]*.json')):
    state = NOT_FINITE
  return Result(name, sweep.runs[name], state, step, steps, curves, evaluations, best)


def _order(metrics: dict[str, float], step: int, criterion: Criterion) -> tuple[float, float, int]:
  return *_badness(metrics.get(criterion.metric), metrics.get(LOSS), criterion), step


def _badness(value: float | None, loss: float | None, criterion: Criterion) -> tuple[float, float]:
  """The order of evaluations: by the criterion, then by the least loss."""
  return criterion.key(value), Criterion(LOSS, False).key(loss)


def _spreads(runs: Sequence[Result], sweep: Sweep, criterion: Criterion) -> list[Spread]:
  if SEED not in sweep.keys:
    return []
  groups: dict[tuple[str, ...], list[Result]] = {}
  for run in runs:
    groups.setdefault(without_seed(run.values), []).append(run)
  keys = [key for key in sweep.keys if key != SEED]
  spreads = [
    Spread(dict(zip(keys, values, strict=True)), [run for run in group if run.best is not None], len(group))
    for values, group in groups.items()
  ]
  return sorted(spreads, key=lambda spread: criterion.key(spread.mean(criterion.metric)))


def without_seed(values: dict[str, str]) -> tuple[str, ...]:
  """Returns the values of a run but that of its seed."""
  return tuple(value for key, value in values.items() if key != SEED)
