"""A look at a corpus: its numbers, its damage by name, and the windows that training would see."""

import re
import subprocess
import sys
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from data_pipeline import corpora
from data_pipeline.inspect import draw_windows, survey, write_page
from data_pipeline.records import part_of_record
from lpips_jax.audio.mel import mel_windows


class Records(Sequence):
  """A corpus of these records; one that is an error cannot be read."""

  def __init__(self, records):
    self.records = records

  def __len__(self):
    return len(self.records)

  def __getitem__(self, index):
    if isinstance(self.records[index], Exception):
      raise self.records[index]
    return self.records[index]


@pytest.fixture(scope='module')
def records(directory):
  source = corpora.source('talking_faces/tiny', 'train', str(directory / 'data'))
  return [source[i] for i in range(len(source))]


def ids(records):
  return [record['id'].decode() for record in records]


def test_numbers_of_a_sound_corpus(records):
  found = survey(records, range(len(records)))
  assert not found.problems and found.usable == list(range(6)) and len(found.speakers) == 3
  assert found.measures['length (s)'] == [1.0] * 6 and found.measures['crop side (px)'] == [32] * 6
  loudness = [20 * np.log10(np.linalg.norm(record['audio'] / 32768) / 16000**0.5) for record in records]
  np.testing.assert_allclose(found.measures['audio level (dBFS)'], loudness, rtol=1e-6)
  heights = [np.diff(record['box'][:, 1::2]).mean() for record in records]
  np.testing.assert_allclose(found.measures['box height (px)'], heights)
  assert found.reach == tuple(np.max([record['box'].max(axis=0)[2:] for record in records], axis=0))


def test_damage_is_named(records):
  first, second, third, fourth, fifth, sixth = ids(records)
  audio = records[0]['audio']
  damaged = [
    records[0],
    records[1] | {'frames': [b'\xff\xd8 no picture'] * 25},
    OSError('the disk <failed>'),
    {key: records[3][key] for key in records[3] if key != 'box'},
    records[4] | {'audio': np.zeros_like(audio)},
    records[5] | {'audio': np.where(np.arange(len(audio)) % 100, audio, 32767).astype(np.int16)},
    records[0],
    part_of_record(records[2], 0, 9, third) | {'box': np.zeros((8, 4), np.int32)},
    records[2] | {'id': b'long sound', 'audio': np.tile(audio, 2)},
  ]
  found = survey(Records(damaged), range(len(damaged)))
  unreadable = found.problems.pop('cannot be read')
  assert [line.partition(':')[0] for line in unreadable] == [
    f'{second} (ValueError',
    'record 2 (OSError',
    f'{fourth} (KeyError',
  ]
  assert 'the disk <failed>' in unreadable[1]
  assert found.problems == {
    'silent, below -60 dBFS': [fifth],
    'clipped sound': [sixth],
    'shorter than 10 frames': [third],
    'not as many boxes as frames': [third],
    'sound not as long as the frames': ['long sound'],
    'mel not as long as the sound': ['long sound'],
    'id that several clips have': [f'{first} (2 times)'],
  }
  assert found.usable == [0, 4, 5, 6, 7, 8] and len(found.measures['length (s)']) == 6


def test_windows_are_what_training_would_see(records):
  found = survey(records, range(len(records)))
  windows = draw_windows(records, found, 4, seed=1)
  assert len({window.record['id'] for window in windows}) == 4
  for window in windows:
    for shown, first in ((window.target_frames, window.start), (window.reference_frames, window.reference)):
      coded = window.record['frames'][first : first + 5]
      frames = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for jpeg in coded]
      np.testing.assert_array_equal(shown, frames)
    speech = mel_windows(window.record['mel'], 25, 25)[window.start]
    np.testing.assert_array_equal(window.mel, speech)
  others = draw_windows(records, found, 4, seed=2)
  starts, other_starts = ([(w.record['id'], w.start) for w in each] for each in (windows, others))
  assert starts != other_starts


def test_damage_that_a_window_meets_is_named_too(records):
  frames = [records[0]['frames'][12] if k == 12 else b'' for k in range(25)]  # whole where the survey looks
  source = [records[0] | {'frames': frames}, records[1]]
  found = survey(source, range(2))
  assert not found.problems
  assert [window.record['id'] for window in draw_windows(source, found, 9, seed=0)] == [records[1]['id']]
  assert found.problems['cannot be read'][0].startswith(ids(records)[0])


def test_the_page_is_whole_and_the_same_every_time(records, tmp_path):
  source = Records([*records, OSError('the disk <failed>')])
  pages = []
  for name in ('a.html', 'b.html'):
    found = survey(source, range(len(source)))
    write_page(tmp_path / name, 'faces & all', found, draw_windows(source, found, 2, seed=0))
    pages.append((tmp_path / name).read_text())
  assert pages[0] == pages[1]
  assert 'faces &amp; all' in pages[0] and 'record 6 (OSError: the disk &lt;failed&gt;)' in pages[0]
  assert pages[0].count('<svg') == 4 + 2 and pages[0].count('<img') == 2
  assert not re.search(r'(src|href)="(?!data:|#)', pages[0])  # it needs no other file


def test_the_command(directory, tmp_path):
  output = tmp_path / 'new' / 'inspect.html'
  command = [sys.executable, '-m', 'data_pipeline.inspect', 'talking_faces/tiny', f'--data_dir={directory / "data"}']
  result = subprocess.run(
    [*command, f'--output={output}', '--windows=1', '--max_clips=3'], capture_output=True, text=True
  )
  assert (result.returncode, result.stderr) == (0, '')
  assert '3 clips of 3 speakers' in result.stdout and 'no problems found' in result.stdout  # every other clip
  assert output.read_text().count('<img') == 1
  for options in ([f'--output={tmp_path}'], [f'--output={tmp_path / "no" / "a.html"}', '--split=dev']):
    bad = subprocess.run([*command, *options], capture_output=True, text=True)
    assert bad.returncode == 2 and len(bad.stderr.splitlines()) == 1
  assert not (tmp_path / 'no').exists()
