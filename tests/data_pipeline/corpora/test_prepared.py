"""Stored records: long clips are divided without loss."""

import pytest
from builds import build_folder
from numbered_records import assert_part, numbered_record

from data_pipeline import corpora
from data_pipeline.corpora.prepared import split_record
from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.preparation import store
from data_pipeline.records import Word
from lpips_jax.core.files import write_whole


def test_long_records_are_stored_in_parts_that_make_up_the_whole():
  whole = numbered_record(252)
  found, first = list(split_record(whole)), 0
  assert len(found) == 3
  for part in found:
    last = first + len(part['frames'])
    assert part['id'] == f'a+{first}' and 80 <= len(part['frames']) <= 100
    assert_part(part, whole, first, last)
    first = last
  assert first == 252
  assert [part['id'] for part in split_record(numbered_record(100))] == ['a']


def test_a_part_has_the_words_whose_times_lie_within_it():
  words = [Word('one', 0.2, 0.5), Word('two', 3.2, 3.5), Word('three', 3.9, 4.3), Word('four', 5.0, 5.4)]
  whole = numbered_record(150) | {'text': 'One, two, three, four.', 'words': words}
  first, second = split_record(whole)  # at 3 s
  assert first['text'] == 'one' and second['text'] == 'two three four'
  assert [word.start for word in second['words']] == pytest.approx([0.2, 0.9, 2.0])
  [undivided] = split_record(whole | {'words': []})
  assert undivided['text'] == whole['text']
  unknown = split_record(numbered_record(160) | {'text': 'One.', 'words': []})
  assert [part['text'] for part in unknown] == ['', '']


def test_transcripts_reach_the_corpus(tmp_path):
  record = clip_record(0, 'train', 0, 0, seconds=0.4, image_size=32) | {'text': 'It is SO.', 'words': []}
  with store.working_in(tmp_path / 'clips', {'layout': 'folder'}):
    for name, said in ('a', record), ('b', {k: v for k, v in record.items() if k != 'text'}):
      store.write_clip_result(tmp_path / 'clips', store.ClipResult(name, [said | {'id': name}], [{}]))
    store.write_splits(tmp_path / 'clips', {'train': ['a', 'b']})
    write_whole(tmp_path / 'clips' / store.FINISHED, 'clip,reason\n')
  build_folder(tmp_path / 'clips', tmp_path / 'data')
  source = corpora.source('folder', 'train', str(tmp_path / 'data'))
  assert [source[k]['text'].decode() for k in range(2)] == ['It is SO.', '']
