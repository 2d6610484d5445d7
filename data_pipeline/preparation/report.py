"""The report on prepared clips: how many there are, how good they are, and why others were rejected."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.preparation import store
from data_pipeline.preparation.store import ClipSummary
from data_pipeline.records import decode_frames
from lpips_jax.core import html
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.files import PathLike
from lpips_jax.storage import files
from lpips_jax.storage.places import join

MAX_THUMBNAILS, THUMBNAIL_SIZE = 60, 96
MAX_REASONS = 40  # the most frequent reasons for rejection are shown
NOTE_HISTOGRAMS = {  # a note of the records -> its label, and its step if it is discrete
  'face': ('mean height of the face, pixels', None),
  'offset': ('frames by which the sound was ahead', 1),
  'confidence': ('confidence of the sync expert', None),
}


def write_report(
  output: PathLike,
  splits: Mapping[str, Sequence[str]],
  summaries: Sequence[ClipSummary],
  rejected: Sequence[tuple[str, str]],
) -> None:
  """Writes OUTPUT/report.html: counts, histograms, reasons for rejection, and a frame of some records.

  Args:
    output: the directory or URL of the prepared clips.
    splits: the ids of the raw clips of each split.
    summaries: of all its raw clips, in the order in which they are shown.
    rejected: (clip or record, reason) of everything that was not used.

  Raises:
    UserError: a prepared clip is damaged.
  """
  records = [record for summary in summaries for record in summary.records]
  seconds = np.array([record['frames'] for record in records]) / FRAME_RATE
  histograms: list[html.Block] = [html.histogram(seconds, 'length of a record, seconds', 1 / FRAME_RATE)]
  for note, (label, step) in NOTE_HISTOGRAMS.items():
    values = [record[note] for record in records if note in record]
    if values:
      histograms.append(html.histogram(values, label, step))
  sections: list[html.Section] = [
    ('What there is', _counts(splits, summaries)),
    ('Records', [html.Gallery(histograms)]),
    ('Rejected', [_reasons(rejected)]),
    ('A frame of some records', [_contact_sheet(output, summaries)]),
  ]
  files.write(join(output, 'report.html'), html.page('Prepared clips', sections))


def _counts(splits: Mapping[str, Sequence[str]], summaries: Sequence[ClipSummary]) -> list[html.Block]:
  by_clip = {summary.clip: summary for summary in summaries}
  rows = [
    _count(split, [by_clip[clip] for clip in clips if clip in by_clip])
    for split, clips in sorted(splits.items())
    if clips
  ]
  head = 'split', 'raw clips', 'used', 'records', 'speakers', 'raw hours', 'prepared hours', '% used'
  about = (
    'A raw clip is used if it gave a record. Of raw hours more than 100 % are used where clips show several people.'
  )
  return [html.Table([*rows, _count('all', summaries)], head), html.Paragraph(about, quiet=True)]


def _count(name: str, summaries: Sequence[ClipSummary]) -> tuple[object, ...]:
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


def _reasons(rejected: Iterable[tuple[str, str]]) -> html.Block:
  """Returns a table of reasons, with an example of each; reasons that differ in their numbers alone are one."""
  counts: Counter[str] = Counter()
  examples: dict[str, str] = {}
  for what, reason in rejected:
    kind = re.sub(r'-?\d+(\.\d+)?', '#', reason)
    counts[kind] += 1
    examples.setdefault(kind, f'{what}: {reason}')
  if not counts:
    return html.Paragraph('Nothing was rejected.')
  ordered = sorted(counts, key=lambda kind: (-counts[kind], kind))
  rows = [(kind, counts[kind], examples[kind]) for kind in ordered[:MAX_REASONS]]
  if len(ordered) > MAX_REASONS:
    rows.append((f'{len(ordered) - MAX_REASONS:,} other reasons', sum(counts[k] for k in ordered[MAX_REASONS:]), ''))
  return html.Table(rows, ('reason', 'number', 'for example'))


def _contact_sheet(output: PathLike, summaries: Sequence[ClipSummary]) -> html.Block:
  """Returns the middle frames of records spread evenly over the corpus; only their clips are read."""
  everything = [(summary.clip, k) for summary in summaries for k in range(len(summary.records))]
  if not everything:
    return html.Paragraph('There are no records.')
  places = np.linspace(0, len(everything) - 1, min(MAX_THUMBNAILS, len(everything))).round().astype(int)
  chosen: dict[str, list[int]] = defaultdict(list)
  for clip, k in (everything[place] for place in places):
    chosen[clip].append(k)
  thumbnails = [
    _thumbnail(records[k])
    for clip, numbers in chosen.items()
    for records in [store.read_records(output, clip)]
    for k in numbers
  ]
  return html.Gallery(thumbnails)


def _thumbnail(record: dict[str, Any]) -> html.Image:
  frame = decode_frames(record['frames'], [len(record['frames']) // 2], THUMBNAIL_SIZE)[0]
  return html.Image(frame, record['id'])
