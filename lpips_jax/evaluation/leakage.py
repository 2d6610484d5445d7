"""The second table: how much of the reference's lips comes through, by who dubs and what reference they are shown.

See `lpips_jax.metrics.leakage` for what is measured. Beside generators stand two who say what the figures are worth:
  copy_reference: the lower half of the reference, whatever the speech: nothing but leakage;
  oracle: what the face would truly look like, whatever the reference: none of it. Only corpora that draw their
    speakers have one.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from lpips_jax.evaluation import systems
from lpips_jax.evaluation.candidates import Clip
from lpips_jax.evaluation.references import REFERENCES
from lpips_jax.evaluation.scoring import Score
from lpips_jax.evaluation.summary import Figure, as_markdown, figure_of, heading, interval, shown_as
from lpips_jax.evaluation.systems import SETUPS, Dub, MakeCandidate
from lpips_jax.metrics.leakage import discrepancy

Dubber = Callable[[Clip, np.ndarray], Dub]  # of a clip and the references that are shown
ORACLE = 'oracle'
SCORES = {'LSE': ('lse_c', 'lse_d'), 'sync': ('sync_confidence', 'sync_distance')}  # by SyncNet, and by an expert


class Asked(NamedTuple):
  """A row of the table: who dubs, and by what reference."""

  name: str
  reference: str


class Column(NamedTuple):
  """A figure of the table.

  Attributes:
    key: what results call it.
    title: what the table calls it.
    measure: of the scores of takes.
    setups: of which takes: the mean of one, or the discrepancy of two.
    higher: whether more of it is better, if that can be said.
  """

  key: str
  title: str
  measure: str
  setups: tuple[str, ...]
  higher: bool | None = None


@dataclasses.dataclass(frozen=True)
class Leakage:
  """What was found: the columns, and of each row its figures, by key."""

  columns: list[Column]
  rows: dict[Asked, dict[str, Figure]]


def copier(clip: Clip, shown: np.ndarray) -> Dub:
  """Nothing but leakage."""
  return lambda speech: systems.copied_lower_half(clip.frames, shown)


def oracle(clip: Clip, shown: np.ndarray) -> Dub:
  """No leakage; of clips that know their `dubbed_truth`."""
  return lambda speech: clip.frames if speech is clip else clip.dubbed_truth(speech)


def table_rows(generators: Iterable[str], with_oracle: bool) -> list[Asked]:
  """The rows in their order. What an oracle makes does not depend on the reference: it has one row."""
  rows = [Asked(name, reference) for name in (*generators, 'copy_reference') for reference in REFERENCES]
  return [*rows, Asked(ORACLE, 'current')] if with_oracle else rows


def system_of(asked: Asked, setup: str) -> str:
  """By what name the takes of a row are scored."""
  return f'{asked.name}/{asked.reference}/{setup}'


def candidates_of(
  clip: Clip, other: Clip, rows: Iterable[Asked], dubbers: Mapping[str, Dubber]
) -> dict[str, MakeCandidate]:
  """What makes the takes of a clip, by the systems of `rows`; nothing is computed before it is asked for.

  Args:
    clip: the clip.
    other: one of another speaker.
    rows: of the table.
    dubbers: of each name in the rows who it is.
  """
  makers = {}
  for asked in rows:
    shown = REFERENCES[asked.reference](clip.frames)
    dub = cache(dubbers[asked.name](clip, shown))
    of_setups = systems.setups(clip, other, asked.reference, dub)
    makers |= {system_of(asked, setup): make for setup, make in of_setups.items()}
  return makers


def dubbers_of(generators: Mapping[str, Any]) -> dict[str, Dubber]:
  """Generators, and the two beside them."""
  made = {name: partial(systems.dubber, generator=generator) for name, generator in generators.items()}
  return made | {'copy_reference': copier, ORACLE: oracle}


def columns(judge: str) -> list[Column]:
  """The columns, by whose scores: a key of `SCORES`."""
  c, d = SCORES[judge]
  by_syncnet = judge == 'LSE'
  confidence, distance = ('LSE-C', 'LSE-D') if by_syncnet else ('sync confidence', 'sync distance')
  between = ('lsd', 'lsd_d') if by_syncnet else ('sync_confidence_discrepancy', 'sync_distance_discrepancy')
  titles = ('LSD', 'LSD of LSE-D') if by_syncnet else ('confidence discrepancy', 'distance discrepancy')
  both = 'matched', 'mismatched'
  return [
    Column(f'{c}_s', 'LSE-C_s' if by_syncnet else f'{confidence}, silent', c, ('silent',), False),
    Column(f'{d}_s', 'LSE-D_s' if by_syncnet else f'{distance}, silent', d, ('silent',), True),
    Column(f'{c}_matched', f'{confidence}, matched', c, ('matched',), True),
    Column(f'{c}_mismatched', f'{confidence}, mismatched', c, ('mismatched',), True),
    Column(between[0], titles[0], c, both, False),
    Column(between[1], titles[1], d, both, False),
    Column('open_share', 'open share, silent', 'open_share', ('silent',), False),
    Column('rest_deviation', 'rest deviation, silent', 'rest_deviation', ('silent',), False),
    Column('leak_silent', 'leak, silent', 'leak', ('silent',), False),
    Column('leak_mismatched', 'leak, mismatched', 'leak', ('mismatched',), False),
    Column('mouth_correlation_mismatched', 'mouth, mismatched', 'mouth_correlation', ('mismatched',), True),
    Column('lower_half_psnr_silent', 'PSNR, silent', 'lower_half_psnr', ('silent',), True),
    Column('lower_half_psnr_mismatched', 'PSNR, mismatched', 'lower_half_psnr', ('mismatched',), True),
  ]


def tabulate(asked: Sequence[Asked], rows: Iterable[Score]) -> Leakage:
  """Sums up.

  Args:
    asked: the rows of the table.
    rows: what was found of their systems, and perhaps of others.

  Returns:
    The table, by SyncNet's scores if there are any, without columns that have no figures.
  """
  scores: dict[str, dict[str, dict]] = {}
  for row in rows:
    scores.setdefault(row.system, {})[row.clip] = row.scores
  by_syncnet = any('lse_c' in found for of_system in scores.values() for found in of_system.values())
  wanted = columns('LSE' if by_syncnet else 'sync')
  figures = {}
  for row in asked:
    of_setups = {setup: scores.get(system_of(row, setup), {}) for setup in SETUPS}
    found = {column.key: _figure(column, of_setups) for column in wanted}
    figures[row] = {key: figure for key, figure in found.items() if figure is not None}
  present = [column for column in wanted if any(column.key in found for found in figures.values())]
  return Leakage(present, figures)


def as_json(leakage: Leakage) -> dict[str, Any]:
  """All of it, as JSON has it: by name, by reference, by key."""
  found: dict[str, Any] = {}
  for (name, reference), figures in leakage.rows.items():
    found.setdefault(name, {})[reference] = {key: figure._asdict() for key, figure in figures.items()}
  return found


def table(leakage: Leakage) -> tuple[list[str], list[list[str]]]:
  """The head and the rows, means with half of their intervals."""
  head = ['system', 'reference', *(heading(column.title, column.higher) for column in leakage.columns)]
  rows = []
  for (name, reference), figures in leakage.rows.items():
    rows.append([name, reference, *(shown_as(figures.get(column.key)) for column in leakage.columns)])
  return head, rows


def markdown(leakage: Leakage) -> str:
  """The table as Markdown, and how to read it."""
  return '\n\n'.join(['## Leakage', as_markdown(*table(leakage)), *notes(leakage)]) + '\n'


def notes(leakage: Leakage) -> list[str]:
  """How to read it, a sentence each."""
  said = [
    'Silent: made from silence, judged by the sound of the clip, which only the reference can have told. Matched and '
    "mismatched: made from the clip's own speech and from another speaker's, judged by that; the discrepancy is how "
    'far their means are apart.',
    'Open share and rest deviation (in hundredths of the measured opening) ask whether the mouth rests in '
    'silence; leak is the correlation with the mouth that was shown, which a single frame does not have.',
  ]
  if not any(column.measure == 'lse_c' for column in leakage.columns):
    said.append('Sync is judged by a sync expert of our own: not comparable with published LSE-C_s, LSE-D_s and LSD.')
  if any(asked.name == ORACLE for asked in leakage.rows):
    said.append('oracle is the true face of the foreign speech, and of silence; PSNR is measured against it.')
  return said


def _figure(column: Column, scores: Mapping[str, Mapping[str, dict]]) -> Figure | None:
  """Of clips that all of a column's setups have this score of."""
  of_setups = [
    {clip: found[column.measure] for clip, found in scores[setup].items() if found.get(column.measure) is not None}
    for setup in column.setups
  ]
  clips = [clip for clip in of_setups[0] if all(clip in values for values in of_setups)]
  if not clips:
    return None
  values = [np.array([of_setup[clip] for clip in clips]) for of_setup in of_setups]
  if len(values) == 1:
    return figure_of(values[0])
  low, high = interval(values[0] - values[1])
  nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
  return Figure(discrepancy(*values), nearest, max(abs(low), abs(high)), len(clips))
