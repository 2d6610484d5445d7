"""The summary of a corpus: its measures, and its damaged clips by name."""

import numpy as np
from record_sources import Records

from data_pipeline.inspection.summary import summarise
from data_pipeline.records import part_of_record, text


def test_measures_of_an_undamaged_corpus(records):
  summary = summarise(records, range(len(records)))
  assert not summary.problems and summary.usable == list(range(6)) and len(summary.speakers) == 3
  assert summary.measures['length (s)'] == [1.0] * 6 and summary.measures['crop side (px)'] == [32] * 6
  loudness = [20 * np.log10(np.linalg.norm(record['audio'] / 32768) / 16000**0.5) for record in records]
  np.testing.assert_allclose(summary.measures['audio level (dBFS)'], loudness, rtol=1e-6)
  heights = [np.diff(record['box'][:, 1::2]).mean() for record in records]
  np.testing.assert_allclose(summary.measures['box height (px)'], heights)
  assert summary.reach == tuple(np.max([record['box'].max(axis=0)[2:] for record in records], axis=0))


def test_damage_is_named(records):
  first, second, third, fourth, fifth, sixth = [text(record['id']) for record in records]
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
  summary = summarise(Records(damaged), range(len(damaged)))
  unreadable = summary.problems.pop('cannot be read')
  assert [line.partition(':')[0] for line in unreadable] == [
    f'{second} (ValueError',
    'record 2 (OSError',
    f'{fourth} (KeyError',
  ]
  assert 'the disk <failed>' in unreadable[1]
  assert summary.problems == {
    'silent, below -60 dBFS': [fifth],
    'clipped sound': [sixth],
    'shorter than 10 frames': [third],
    'not as many boxes as frames': [third],
    'sound not as long as the frames': ['long sound'],
    'mel not as long as the sound': ['long sound'],
    'id that several clips have': [f'{first} (2 times)'],
  }
  assert summary.usable == [0, 4, 5, 6, 7, 8] and len(summary.measures['length (s)']) == 6
