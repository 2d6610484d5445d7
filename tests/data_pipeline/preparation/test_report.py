"""The report on prepared clips: correct counts, and the same bytes every time."""

import re
from html import unescape

import numpy as np
import pytest

from data_pipeline.preparation import store
from data_pipeline.preparation.report import write_report
from data_pipeline.records import encode_frame, make_record


def result(clip, speaker, frames, **notes):
  """A raw clip of twice the length of its records, one of each number of frames."""
  records = [
    make_record(
      f'{clip}/{k}',
      speaker,
      [encode_frame(np.full((16, 16, 3), 50 * k, np.uint8))] * number,
      np.zeros(640 * number, np.int16),
      np.zeros((number, 4)),
    )
    for k, number in enumerate(frames)
  ]
  return store.ClipResult(
    clip, records, [{'face': 50.0 + k, **notes} for k in range(len(records))], [], sum(frames) / 12.5
  )


def report(directory, results, rejected=()):
  """Prepares a directory of these clips, the last of them for testing, and returns its report."""
  for each in results:
    store.write_clip_result(directory, each)
  clips = [each.clip for each in results]
  splits = {'train': clips[:-1], 'val': [], 'test': clips[-1:]}
  write_report(directory, splits, [store.read_summary(directory, clip) for clip in clips], rejected)
  return (directory / 'report.html').read_text(encoding='utf-8')


def rows(html):
  """The text of all table rows, cell by cell."""
  return [re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', row) for row in re.findall(r'<tr>(.*?)</tr>', html)]


def test_each_split_is_counted(tmp_path):
  results = [result('a/1', 'a', [9000, 15]), result('a/2', 'a', []), result('b/1', 'b', [20])]
  table = rows(report(tmp_path, results))
  # Split, raw clips, used, records, speakers, raw hours, prepared hours, % used: 9015 frames are 0.100 h.
  assert ['train', '2', '1', '2', '1', '0.200', '0.100', '50.00'] in table
  assert ['test', '1', '1', '1', '1', '0.000', '0.000', '50.00'] in table
  assert ['all', '3', '2', '3', '2', '0.201', '0.100', '50.00'] in table
  assert not any(row[0] == 'val' for row in table)


def test_reasons_are_grouped_by_their_words_and_text_is_escaped(tmp_path):
  rejected = [('x/1', 'confidence -0.25'), ('x/2', 'no <face>'), ('x&3', 'confidence 3')]
  html = report(tmp_path, [result('a', 'a', [15])], rejected)
  reasons = [row for row in rows(html) if 'confidence' in row[0] or 'face' in row[0]]
  assert reasons == [
    ['confidence #', '2', 'x/1: confidence -0.25'],
    ['no &lt;face&gt;', '1', 'x/2: no &lt;face&gt;'],
  ]


def test_notes_have_histograms(tmp_path):
  html = report(tmp_path / 'scored', [result('a', 'a', [15, 30], offset=-2, confidence=0.5)])
  for text in ('0.6 to 1.2, median 0.9', '50 to 51, median 50.5', '-2 to -2, median -2', '0.5 to 0.5, median 0.5'):
    assert text in html
  html = report(tmp_path / 'not_scored', [result('a', 'a', [15, 30])])
  assert 'height of the face' in html and 'sync expert' not in html


def test_contact_sheet_is_spread_over_the_corpus(tmp_path, monkeypatch):
  monkeypatch.setattr('data_pipeline.preparation.report.MAX_THUMBNAILS', 3)
  html = report(tmp_path, [result('a', 'a', [15, 16]), result('b', 'b', [15]), result('c"', 'c', [15, 16])])
  assert [unescape(title) for title in re.findall(r'<img title="([^"]*)"', html)] == ['a/0', 'b/0', 'c"/1']
  assert not re.search(r'(src|href)="(?!data:|#)', html)  # it needs no other file


@pytest.mark.parametrize('frames', [[15, 20], []], ids=['records', 'none'])
def test_same_bytes_every_time(tmp_path, frames):
  html = report(tmp_path, [result('a', 'a', frames), result('b', 'b', frames)])
  assert html == report(tmp_path, [result('a', 'a', frames), result('b', 'b', frames)])
  assert ['all', '2', str(2 * bool(frames)), str(2 * len(frames))] in [row[:4] for row in rows(html)]
  assert ('There are no records' in html) == (not frames)
