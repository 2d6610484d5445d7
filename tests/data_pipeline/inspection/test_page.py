"""The page about a corpus: windows as training sees them, complete and reproducible."""

import re

import cv2
import numpy as np
from record_sources import Records

from data_pipeline.inspection.page import draw_windows, write_page
from data_pipeline.inspection.summary import summarise
from data_pipeline.records import text
from lpips_jax.audio.mel import mel_windows


def test_windows_are_those_of_training(records):
  summary = summarise(records, range(len(records)))
  windows = draw_windows(records, summary, 4, seed=1)
  assert len({window.record['id'] for window in windows}) == 4
  for window in windows:
    for shown, first in ((window.target_frames, window.start), (window.reference_frames, window.reference)):
      coded = window.record['frames'][first : first + 5]
      frames = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for jpeg in coded]
      np.testing.assert_array_equal(shown, frames)
    speech = mel_windows(window.record['mel'], 25, 25)[window.start]
    np.testing.assert_array_equal(window.mel, speech)
  others = draw_windows(records, summary, 4, seed=2)
  starts, other_starts = ([(w.record['id'], w.start) for w in each] for each in (windows, others))
  assert starts != other_starts


def test_damage_that_a_window_meets_is_named_too(records):
  frames = [records[0]['frames'][12] if k == 12 else b'' for k in range(25)]  # undamaged where the summary decodes it
  source = [records[0] | {'frames': frames}, records[1]]
  summary = summarise(source, range(2))
  assert not summary.problems
  assert [window.record['id'] for window in draw_windows(source, summary, 9, seed=0)] == [records[1]['id']]
  assert summary.problems['cannot be read'][0].startswith(text(records[0]['id']))


def test_the_page_is_complete_and_the_same_every_time(records, tmp_path):
  source = Records([*records, OSError('the disk <failed>')])
  pages = []
  for name in ('a.html', 'b.html'):
    summary = summarise(source, range(len(source)))
    write_page(tmp_path / name, 'faces & all', summary, draw_windows(source, summary, 2, seed=0))
    pages.append((tmp_path / name).read_text())
  assert pages[0] == pages[1]
  assert 'faces &amp; all' in pages[0] and 'record 6 (OSError: the disk &lt;failed&gt;)' in pages[0]
  assert pages[0].count('<svg') == 4 + 2 and pages[0].count('<img') == 2
  assert not re.search(r'(src|href)="(?!data:|#)', pages[0])  # it needs no other file


def test_what_is_said_is_shown_where_it_is_known(records, tmp_path):
  said = [dict(record) | {'text': b'Fish & chips'} for record in records]
  filmed = [{name: value for name, value in record.items() if not name.startswith('sound')} for record in records]
  pages = []
  for name, source in (('said.html', said), ('filmed.html', filmed)):
    summary = summarise(source, range(len(source)))
    windows = draw_windows(source, summary, 2, seed=0)
    write_page(tmp_path / name, 'faces', summary, windows)
    pages.append((tmp_path / name).read_text())
  assert pages[0].count('Transcript of the clip: Fish &amp; chips') == pages[0].count('Sounds of the target: ') == 2
  assert 'Transcript' not in pages[1] and 'Sounds' not in pages[1]
