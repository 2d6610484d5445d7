"""The table of leakage: how much of the reference's lips comes through, by dubber and by kind of reference.

See `lpips_jax.metrics.leakage` for the measures. Two controls beside the generators give the figures a scale:
  copy_reference: the lower half of the reference, whatever the speech: nothing but leakage;
  oracle: the true face, whatever the reference: no leakage. Only corpora that draw their speakers have it.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from lpips_jax.evaluation.candidates import Clip, MakeCandidate
from lpips_jax.evaluation.measures import Scores
from lpips_jax.evaluation.references import REFERENCES
from lpips_jax.evaluation.scoring import Score
from lpips_jax.evaluation.summary import Estimate, estimate_mean, format_estimate, heading, interval, markdown_table
from lpips_jax.evaluation.systems import (
  ORACLE,
  SETUPS,
  Dub,
  candidates_by_setup,
  copied_lower_half,
  generator_dub,
  true_dub,
)
from lpips_jax.metrics.leakage import discrepancy
from lpips_jax.pretrained import Exported, Pretrained

MakeDub = Callable[[Clip, np.ndarray], Dub]  # a clip, and the references that are shown
COPY_REFERENCE = 'copy_reference'


class LeakageRow(NamedTuple):
  """A row of the table.

  Attributes:
    dubber: the name of a generator, `COPY_REFERENCE` or `ORACLE`.
    reference: the name of the references that it is shown, in `REFERENCES`.
  """

  dubber: str
  reference: str

  def system(self, setup: str) -> str:
    """Returns the name under which the candidates of a setup, one of `SETUPS`, are scored."""
    return f'{self.dubber}/{self.reference}/{setup}'


class Column(NamedTuple):
  """A column of the table.

  Attributes:
    key: its name in results.
    title: the column heading.
    measure: the measure of candidates that it averages.
    setups: the candidates: those of one setup for the mean, of two for the discrepancy between them.
    higher_is_better: None if neither direction is better.
  """

  key: str
  title: str
  measure: str
  setups: tuple[str, ...]
  higher_is_better: bool | None = None


@dataclasses.dataclass(frozen=True)
class LeakageTable:
  """The table of leakage.

  Attributes:
    columns: those of which any row has an estimate.
    rows: the estimates of each row, by the key of the column.
  """

  columns: list[Column]
  rows: dict[LeakageRow, dict[str, Estimate]]


def copy_reference(clip: Clip, references: np.ndarray) -> Dub:
  """Returns the dub that is nothing but leakage."""
  return lambda speech: copied_lower_half(clip.frames, references)


def oracle(clip: Clip, references: np.ndarray) -> Dub:
  """Returns the dub without leakage, for clips that have a `dubbed_truth`."""
  return true_dub(clip)


def make_dubs_of(generators: Mapping[str, Pretrained | Exported]) -> dict[str, MakeDub]:
  """Returns the functions that make dubs, of generators and of the two controls, by name."""
  made: dict[str, MakeDub] = {name: partial(generator_dub, generator=each) for name, each in generators.items()}
  return made | {COPY_REFERENCE: copy_reference, ORACLE: oracle}


def table_rows(generators: Iterable[str], with_oracle: bool) -> list[LeakageRow]:
  """Returns the rows in order. The oracle has one row, as what it makes does not depend on the reference."""
  rows = [LeakageRow(name, reference) for name in (*generators, COPY_REFERENCE) for reference in REFERENCES]
  return [*rows, LeakageRow(ORACLE, 'current')] if with_oracle else rows


def candidates_of(
  clip: Clip, other: Clip, rows: Iterable[LeakageRow], make_dubs: Mapping[str, MakeDub]
) -> dict[str, MakeCandidate]:
  """Returns functions that make the candidates of a clip, by system; they compute no frames twice.

  Args:
    clip: the clip.
    other: a clip of another speaker.
    rows: of the table.
    make_dubs: for each dubber in the rows.
  """
  makers: dict[str, MakeCandidate] = {}
  for row in rows:
    references = REFERENCES[row.reference](clip.frames)
    dub = cache(make_dubs[row.dubber](clip, references))
    by_setup = candidates_by_setup(clip, other, row.reference, dub)
    makers |= {row.system(setup): make for setup, make in by_setup.items()}
  return makers


def tabulate(rows: Sequence[LeakageRow], scores: Iterable[Score]) -> LeakageTable:
  """Averages scores.

  Args:
    rows: of the table.
    scores: of the systems of the rows, and perhaps of others.

  Returns:
    The table, by SyncNet's scores if there are any, else by the sync expert's; without columns that have no estimates.
  """
  by_system: dict[str, dict[str, Scores]] = {}
  for score in scores:
    by_system.setdefault(score.system, {})[score.clip] = score.scores
  by_syncnet = any('lse_c' in found for of_system in by_system.values() for found in of_system.values())
  columns = _syncnet_columns() if by_syncnet else _sync_expert_columns()
  estimates = {}
  for row in rows:
    by_setup = {setup: by_system.get(row.system(setup), {}) for setup in SETUPS}
    of_row = {column.key: _estimate(column, by_setup) for column in columns}
    estimates[row] = {key: estimate for key, estimate in of_row.items() if estimate is not None}
  present = [column for column in columns if any(column.key in of_row for of_row in estimates.values())]
  return LeakageTable(present, estimates)


def as_json(leakage: LeakageTable) -> dict[str, Any]:
  """Returns the whole table as values that JSON can hold: by dubber, by reference, by key."""
  found: dict[str, Any] = {}
  for (dubber, reference), estimates in leakage.rows.items():
    found.setdefault(dubber, {})[reference] = {key: estimate._asdict() for key, estimate in estimates.items()}
  return found


def table(leakage: LeakageTable) -> tuple[list[str], list[list[str]]]:
  """Returns the head and the rows of the table, means ± half of their intervals."""
  head = ['system', 'reference', *(heading(column.title, column.higher_is_better) for column in leakage.columns)]
  rows = []
  for (dubber, reference), estimates in leakage.rows.items():
    rows.append([dubber, reference, *(format_estimate(estimates.get(column.key)) for column in leakage.columns)])
  return head, rows


def markdown(leakage: LeakageTable) -> str:
  """Returns the table as Markdown, with its notes."""
  return '\n\n'.join(['## Leakage', markdown_table(*table(leakage)), *notes(leakage)]) + '\n'


def notes(leakage: LeakageTable) -> list[str]:
  """Returns how to read the table, a sentence each."""
  found = [
    'Silent: made from silence, judged by the sound of the clip, which only the reference can have told. Matched and '
    "mismatched: made from the clip's own speech and from another speaker's, judged by that; the discrepancy is how "
    'far their means are apart.',
    'Open share and rest deviation (in hundredths of the measured opening) ask whether the mouth rests in '
    'silence; leak is the correlation with the mouth that was shown, which a single frame does not have.',
  ]
  if not any(column.measure == 'lse_c' for column in leakage.columns):
    found.append('Sync is judged by a sync expert of our own: not comparable with published LSE-C_s, LSE-D_s and LSD.')
  if any(row.dubber == ORACLE for row in leakage.rows):
    found.append('oracle is the true face of the foreign speech, and of silence; PSNR is measured against it.')
  return found


def _syncnet_columns() -> list[Column]:
  both = 'matched', 'mismatched'
  return [
    Column('lse_c_s', 'LSE-C_s', 'lse_c', ('silent',), False),
    Column('lse_d_s', 'LSE-D_s', 'lse_d', ('silent',), True),
    Column('lse_c_matched', 'LSE-C, matched', 'lse_c', ('matched',), True),
    Column('lse_c_mismatched', 'LSE-C, mismatched', 'lse_c', ('mismatched',), True),
    Column('lsd', 'LSD', 'lse_c', both, False),
    Column('lsd_d', 'LSD of LSE-D', 'lse_d', both, False),
    *_MOUTH_COLUMNS,
  ]


def _sync_expert_columns() -> list[Column]:
  confidence, distance, both = 'sync_confidence', 'sync_distance', ('matched', 'mismatched')
  return [
    Column('sync_confidence_s', 'sync confidence, silent', confidence, ('silent',), False),
    Column('sync_distance_s', 'sync distance, silent', distance, ('silent',), True),
    Column('sync_confidence_matched', 'sync confidence, matched', confidence, ('matched',), True),
    Column('sync_confidence_mismatched', 'sync confidence, mismatched', confidence, ('mismatched',), True),
    Column('sync_confidence_discrepancy', 'confidence discrepancy', confidence, both, False),
    Column('sync_distance_discrepancy', 'distance discrepancy', distance, both, False),
    *_MOUTH_COLUMNS,
  ]


_MOUTH_COLUMNS = [
  Column('open_share', 'open share, silent', 'open_share', ('silent',), False),
  Column('rest_deviation', 'rest deviation, silent', 'rest_deviation', ('silent',), False),
  Column('leak_silent', 'leak, silent', 'leak', ('silent',), False),
  Column('leak_mismatched', 'leak, mismatched', 'leak', ('mismatched',), False),
  Column('mouth_correlation_mismatched', 'mouth, mismatched', 'mouth_correlation', ('mismatched',), True),
  Column('lower_half_psnr_silent', 'PSNR, silent', 'lower_half_psnr', ('silent',), True),
  Column('lower_half_psnr_mismatched', 'PSNR, mismatched', 'lower_half_psnr', ('mismatched',), True),
]


def _estimate(column: Column, by_setup: Mapping[str, Mapping[str, Scores]]) -> Estimate | None:
  """The estimate over the clips that have this score in all setups of the column; None if there are none."""
  of_setups = [
    {clip: value for clip, scores in by_setup[setup].items() if (value := scores.get(column.measure)) is not None}
    for setup in column.setups
  ]
  clips = [clip for clip in of_setups[0] if all(clip in values for values in of_setups)]
  if not clips:
    return None
  values = [np.array([of_setup[clip] for clip in clips]) for of_setup in of_setups]
  if len(values) == 1:
    return estimate_mean(values[0])
  low, high = interval(values[0] - values[1])
  nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
  return Estimate(discrepancy(*values), nearest, max(abs(low), abs(high)), len(clips))
