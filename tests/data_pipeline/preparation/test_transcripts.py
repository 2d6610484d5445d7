"""Transcripts: files of LRS2 and LRS3, and any other text."""

import pytest

from data_pipeline.preparation.transcripts import from_array, read_transcript, to_array
from data_pipeline.records import Word, words_between


def test_the_files_of_lrs2_and_lrs3(tmp_path):
  path = tmp_path / '00001.txt'
  path.write_text("Text:  WHEN YOU'RE  COOKING CHIPS\nConf:  5\n")
  assert read_transcript(path) == ("WHEN YOU'RE COOKING CHIPS", [])
  table = 'WORD START END ASDSCORE\nIT 0.10 0.25 6.1\nWAS 0.25 0.4 5.9\n\nMORE 1 2\n'
  path.write_text('Text:  IT WAS\nConf:  4\nRef:  abc\n\nFRAME X Y W H\n000 0.3 0.2 0.1 0.1\n\n' + table)
  assert read_transcript(path) == ('IT WAS', [Word('IT', 0.1, 0.25), Word('WAS', 0.25, 0.4)])


def test_any_text_and_none(tmp_path):
  path = tmp_path / 'me.txt'
  assert read_transcript(path) == ('', [])
  path.write_bytes('\ufeffBonjour,\r\n  tout le monde \n'.encode())
  assert read_transcript(path) == ('Bonjour, tout le monde', [])
  path.write_bytes(b'caf\xe9')
  assert read_transcript(path) == ('caf\ufffd', [])
  path.write_bytes(b'')
  assert read_transcript(path) == ('', [])


def test_what_is_stored_comes_back():
  record = {'text': 'Ça va', 'words': [Word('ça', 0.1, 0.2), Word('va', 0.2, 0.4)]}
  assert from_array(to_array(record)) == record
  assert from_array(to_array({})) == {'text': '', 'words': []}


def test_words_cut_off_are_left_out_and_times_begin_with_the_part():
  words = [Word('a', 0.0, 0.3), Word('b', 0.19, 0.6), Word('c', 0.7, 1.01), Word('d', 0.8, 1.1)]
  inside = words_between(words, 0.2, 1.0)  # half a frame is 20 ms
  assert [word.text for word in inside] == ['b', 'c']
  assert inside[1].start == pytest.approx(0.5) and inside[1].end == pytest.approx(0.81)
