"""The gain from tuning: base and tuned generator on the held-out part, in one table."""

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from lpips_jax.core.files import directory_lock, write_whole
from lpips_jax.evaluation import protocols, summary, systems
from lpips_jax.evaluation.candidates import Candidate, MakeCandidate
from lpips_jax.evaluation.protocols import Protocol
from lpips_jax.evaluation.scorers import Scorers
from lpips_jax.evaluation.scoring import WorkItem
from lpips_jax.faces.mouth import mouth_opening

BASE, TUNED = 'base', 'tuned'


def score(protocol: Protocol, scorers: Scorers, size: int, output: Path) -> summary.Summary:
  """Scores both generators, and writes metrics.json, metrics.md and clips.jsonl; an interrupted run is resumed.

  Args:
    protocol: the held-out clips, with the generators `BASE` and `TUNED`.
    scorers: the metric networks.
    size: side of the crops, in pixels.
    output: the directory for the results.
  """
  protocol = _for_one_person(protocol)
  output.mkdir(parents=True, exist_ok=True)
  with directory_lock(output):
    found, _, clips = protocols.score(protocol, scorers, output, size=size, opening='seen')
    results = protocol.description | {'clips': clips} | summary.as_json(found)
    write_whole(output / 'metrics.json', json.dumps(results, indent=2) + '\n')
    write_whole(output / 'metrics.md', summary.markdown(found))
  return found


def as_lines(found: summary.Summary) -> str:
  """Returns a line for each measure of both base and tuned generator, with their scores side by side."""
  base, tuned = found.systems[BASE], found.systems[TUNED]
  lines = [f'{"":26}{BASE:>10}{TUNED:>10}']
  for measure in found.measures:
    if measure in base and measure in tuned:
      lines.append(f'{found.columns[measure].title:26}{base[measure].mean:10.3f}{tuned[measure].mean:10.3f}')
  return '\n'.join(lines)


def _for_one_person(protocol: Protocol) -> Protocol:
  """Returns the protocol without untrained networks, and with mouth openings compared to those seen as filmed."""
  kept = {name: key for name, key in protocol.systems.items() if systems.UNTRAINED not in name.split()}
  items = [WorkItem(item.name, tuple(kept), _with_opening(item)) for item in protocol.items]
  return protocol._replace(items=items, systems=kept)


def _with_opening(item: WorkItem) -> Callable[[], dict[str, MakeCandidate]]:
  """Returns the item's `read`, with the opening seen in the filmed video for candidates that lack a true one."""

  def read() -> dict[str, MakeCandidate]:
    makers = item.read()
    seen = mouth_opening(makers[systems.FILMED]().frames)
    return {system: partial(_make_with_opening, make, seen) for system, make in makers.items()}

  return read


def _make_with_opening(make: MakeCandidate, opening: np.ndarray) -> Candidate:
  """Makes a candidate, to be compared with that opening if it should look as filmed and has no true one."""
  candidate = make()
  if candidate.truth is None or candidate.mouth_opening is not None:
    return candidate
  return dataclasses.replace(candidate, mouth_opening=opening)
