"""What a look at the prepared clips should show first: how many there are, how good, and why others were rejected."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.preparation import store
from data_pipeline.preparation.store import PreparationSummary
from data_pipeline.records import decode_frames
from lpips_jax.core import html
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.files import write_whole

THUMBNAILS, THUMBNAIL_SIZE = 60, 96
REASONS = 40  # shown of the reasons for rejection, the most frequent ones
NOTES = {  # which of them are shown, and in which steps they come
  'face': ('mean height of the face, pixels', None),
  'offset': ('frames by which the sound was ahead', 1),
  'confidence': ('confidence of the sync expert', None),
}


def write_report(output: Path, summaries: Sequence[PreparationSummary], rejected: Sequence[tuple[str, str]]) -> None:
  """Writes OUTPUT/report.html: counts, histograms, reasons for rejection, and a frame of some records.

  Args:
    output: the directory for prepared clips, with its splits and rejected.csv.
    summaries: of all its raw clips, in the order in which they are to be shown.
    rejected: (what, reason) of all that was not used.

  Raises:
    UserError: the directory is not prepared to the end, or a clip in it is damaged.
  """
  records = [record for summary in summaries for record in summary.records]
  seconds = np.array([record['frames'] for record in records]) / FRAME_RATE
  histograms = [html.histogram(seconds, 'length of a record, seconds', 1 / FRAME_RATE)]
  for note, (label, step) in NOTES.items():
    values = [record[note] for record in records if note in record]
    if values:
      histograms.append(html.histogram(values, label, step))
  sections = [
    ('What there is', _counts(store.read_splits(output), summaries)),
    ('Records', html.gallery(histograms)),
    ('Rejected', _reasons(rejected)),
    ('A frame of some records', _contact_sheet(output, summaries)),
  ]
  write_whole(output / 'report.html', html.page('Prepared clips', sections))


def _counts(splits: dict[str, list[str]], summaries: Sequence[PreparationSummary]) -> str:
  by_clip = {summary.clip: summary for summary in summaries}
  rows = [
    _count(split, [by_clip[clip] for clip in clips if clip in by_clip]) for split, clips in splits.items() if clips
  ]
  head = 'split', 'raw clips', 'used', 'records', 'speakers', 'raw hours', 'prepared hours', '% used'
  about = (
    'A raw clip is used if it gave a record. Of raw hours more than 100 % are used where clips show several people.'
  )
  return html.table([*rows, _count('all', summaries)], head) + html.paragraph(about, quiet=True)


def _count(name: str, summaries: Sequence[PreparationSummary]) -> tuple[object, ...]:
  records = [record for summary in summaries for record in summary.records]
  raw = sum(summary.seconds for summary in summaries) / 3600
  prepared = sum(record['frames'] for record in records) / FRAME_RATE / 3600
  return (
    name,
    len(summaries),
    sum(bool(summary.records) for summary in summaries),
    len(records),
    len({record['speaker'] for record in records}),
    raw,
    prepared,
    100 * prepared / raw if raw else 0.0,
  )


def _reasons(rejected: Iterable[tuple[str, str]]) -> str:
  """Reasons that differ in their numbers alone are one; of each there is an example."""
  counts: Counter[str] = Counter()
  examples: dict[str, str] = {}
  for what, reason in rejected:
    kind = re.sub(r'-?\d+(\.\d+)?', '#', reason)
    counts[kind] += 1
    examples.setdefault(kind, f'{what}: {reason}')
  if not counts:
    return html.paragraph('Nothing was rejected.')
  ordered = sorted(counts, key=lambda kind: (-counts[kind], kind))
  rows = [(kind, counts[kind], examples[kind]) for kind in ordered[:REASONS]]
  if len(ordered) > REASONS:
    rows.append((f'{len(ordered) - REASONS:,} other reasons', sum(counts[k] for k in ordered[REASONS:]), ''))
  return html.table(rows, ('reason', 'number', 'for example'))


def _contact_sheet(output: Path, summaries: Sequence[PreparationSummary]) -> str:
  """The middle frames of records that are spread evenly over the corpus; only their clips are read."""
  everything = [(summary.clip, k) for summary in summaries for k in range(len(summary.records))]
  if not everything:
    return html.paragraph('There are no records.')
  places = np.linspace(0, len(everything) - 1, min(THUMBNAILS, len(everything))).round().astype(int)
  chosen: dict[str, list[int]] = defaultdict(list)
  for clip, k in (everything[place] for place in places):
    chosen[clip].append(k)
  return html.gallery(
    _thumbnail(records[k])
    for clip, numbers in chosen.items()
    for records in [store.read_records(output, clip)]
    for k in numbers
  )


def _thumbnail(record: dict[str, Any]) -> str:
  frame = decode_frames(record['frames'], [len(record['frames']) // 2], THUMBNAIL_SIZE)[0]
  return html.image(frame, record['id'])
