"""What tuning was worth: base and tuned generator on what neither has seen, in one table."""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from lpips_jax.core.files import alone_in, write_whole
from lpips_jax.evaluation import scoring, summary, systems
from lpips_jax.evaluation.candidates import Candidate
from lpips_jax.evaluation.scorers import MEASURES, Scorers
from lpips_jax.evaluation.scoring import Protocol, WorkItem
from lpips_jax.evaluation.systems import MakeCandidate
from lpips_jax.faces.mouth import mouth_opening

BASE, TUNED = 'base', 'tuned'
LEFT_OUT = 'untrained'  # rows that say nothing about tuning


def score(protocol: Protocol, scorers: Scorers, size: int, output: Path) -> summary.Summary:
  """Scores both generators; leaves metrics.json, metrics.md and clips.jsonl, and goes on where it was cut short.

  Args:
    protocol: of the held-out clips, with the generators `BASE` and `TUNED`.
    judges: who judges.
    size: of the crops, in pixels.
    output: the directory for the results.
  """
  protocol = _narrowed(protocol)
  output.mkdir(parents=True, exist_ok=True)
  with alone_in(output):
    score_cache = scoring.ScoreCache(output)
    keys = {
      system: scoring.key_of(scorers=scorers.identity, size=size, system=rests_on, opening='seen')
      for system, rests_on in protocol.systems.items()
    }
    scoring.score(protocol.entries, keys, scorers, score_cache)
    rows = score_cache.rows(keys, [entry.name for entry in protocol.entries])
    found = summary.summarise(list(keys), rows, score_cache, scorers.missing)
    results = protocol.described | {'clips': len(protocol.entries)} | summary.as_json(found)
    write_whole(output / 'metrics.json', json.dumps(results, indent=2) + '\n')
    write_whole(output / 'metrics.md', summary.markdown(found))
  return found


def brief(found: summary.Summary) -> str:
  """The measures that base and tuned generator have in common, side by side, a line each."""
  base, tuned = found.systems[BASE], found.systems[TUNED]
  lines = [f'{"":26}{BASE:>10}{TUNED:>10}']
  for measure in found.measures:
    if measure in base and measure in tuned:
      lines.append(f'{MEASURES[measure].title:26}{base[measure].mean:10.3f}{tuned[measure].mean:10.3f}')
  return '\n'.join(lines)


def _narrowed(protocol: Protocol) -> Protocol:
  """The same without rows of networks before training; mouths are compared with what is seen of the filmed one."""
  rows = {row: rests_on for row, rests_on in protocol.systems.items() if LEFT_OUT not in row.split()}
  entries = [WorkItem(entry.name, tuple(rows), _with_opening(entry)) for entry in protocol.entries]
  return protocol._replace(entries=entries, systems=rows)


def _with_opening(entry: WorkItem) -> Callable[[], dict[str, MakeCandidate]]:
  def read() -> dict[str, MakeCandidate]:
    makers = entry.read()
    seen = mouth_opening(makers[systems.FILMED]().frames)
    return {row: partial(_beside, make, seen) for row, make in makers.items()}

  return read


def _beside(make: MakeCandidate, opening: np.ndarray) -> Candidate:
  """A take, judged by that opening if it should look as filmed and nobody knows the true one."""
  candidate = make()
  if candidate.truth is None or candidate.mouth_opening is not None:
    return candidate
  return dataclasses.replace(candidate, mouth_opening=opening)
