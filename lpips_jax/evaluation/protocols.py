"""The run of a whole evaluation: scores what a protocol lists, and writes the results.

The protocols themselves are in `pairs`, `videos` and `data_pipeline.evaluation_split`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lpips_jax.core.files import directory_lock, write_whole
from lpips_jax.evaluation import leakage, report, summary
from lpips_jax.evaluation.leakage import LeakageRow
from lpips_jax.evaluation.scorers import Scorers
from lpips_jax.evaluation.scoring import Score, ScoreCache, WorkItem, key_of, score_all


class Protocol(NamedTuple):
  """The work of an evaluation.

  Attributes:
    items: the clips.
    systems: for each row of the table, in order, everything that its scores depend on besides clips and scorers: values
      that JSON can hold.
    description: what the results say about the evaluation.
    write_samples: writes pictures and videos to look at into a directory; returns their captions, by file name.
    leakage_rows: the rows of the table of leakage, if it is wanted.
    leakage_systems: like `systems`, for those that only the table of leakage needs.
  """

  items: list[WorkItem]
  systems: dict[str, Any]
  description: dict[str, Any]
  write_samples: Callable[[Path], dict[str, str]]
  leakage_rows: Sequence[LeakageRow] = ()
  leakage_systems: Mapping[str, Any] = {}


class Scored(NamedTuple):
  """The scores of a protocol.

  Attributes:
    summary: their means, by system.
    scores: all of them.
    clips: the number of clips.
  """

  summary: summary.Summary
  scores: list[Score]
  clips: int


def evaluate(protocol: Protocol, scorers: Scorers, image_size: int, step: int | None, output: Path) -> str:
  """Scores every candidate of a protocol, and writes the results; resumes where it was cut short.

  Args:
    protocol: lists the candidates.
    scorers: score them.
    image_size: side of the crops that are scored, in pixels.
    step: the step of the first checkpoint, for the results.
    output: the directory that gets metrics.json, metrics.md, page.html, samples, and clips.jsonl with all scores.

  Returns:
    The tables as Markdown, as in metrics.md.

  Raises:
    UserError: nothing could be scored, or another process is writing to the directory.
  """
  output.mkdir(parents=True, exist_ok=True)
  with directory_lock(output):
    found, scores, clips = score(protocol, scorers, output, size=image_size)
    leaked = leakage.tabulate(protocol.leakage_rows, scores) if protocol.leakage_rows else None
    description = protocol.description | {'clips': clips, 'step': step}
    results = description | summary.flat_means(found) | summary.as_json(found)
    text = summary.markdown(found)
    if leaked is not None:
      results['leakage'] = leakage.as_json(leaked)
      text += '\n' + leakage.markdown(leaked)
    write_whole(output / 'metrics.json', json.dumps(results, indent=2) + '\n')
    write_whole(output / 'metrics.md', text)
    samples = {output / name: caption for name, caption in protocol.write_samples(output).items()}
    write_whole(output / 'page.html', report.page(found, scores, description, samples, leaked))
  return text


def score(protocol: Protocol, scorers: Scorers, output: Path, **conditions: Any) -> Scored:
  """Scores every candidate of a protocol that has no scores in a directory yet, and sums up all of them.

  Args:
    protocol: lists the candidates.
    scorers: score them.
    output: the directory, which the caller has locked.
    conditions: everything else that scores depend on, as values that JSON can hold.

  Raises:
    UserError: nothing could be scored.
  """
  score_cache = ScoreCache(output)
  keys = {
    system: key_of(scorers=scorers.cache_key, system=depends_on, **conditions)
    for system, depends_on in [*protocol.systems.items(), *protocol.leakage_systems.items()]
  }
  score_all(protocol.items, keys, scorers, score_cache)
  clips = list(dict.fromkeys(item.name for item in protocol.items))
  scores = score_cache.select(keys, clips)
  measured = {measure for score in scores for measure, value in score.scores.items() if value is not None}
  unmet = {measure: reason for measure, reason in scorers.unmet.items() if measure not in measured}
  missing = scorers.missing | unmet
  found = summary.summarise(list(protocol.systems), scores, score_cache, missing, scorers.columns, scorers.remarks)
  return Scored(found, scores, len(clips))
