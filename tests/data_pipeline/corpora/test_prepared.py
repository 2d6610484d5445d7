"""Stored records: long clips are divided without loss."""

from numbered_records import assert_part, numbered_record

from data_pipeline.corpora.prepared import split_record


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
