"""Columns of the table, and the narrow ones of a wide table."""

import pytest

from lpips_jax.evaluation.measures import (
  GROUPS,
  MEASURES,
  MOST_COLUMNS,
  in_narrow_tables,
  reading_measures,
  with_readers,
)


def test_columns_of_readers_come_last_and_tell_whose_they_are():
  columns = with_readers([('', 'sounds'), ('second', 'characters')])
  assert list(columns)[: len(MEASURES)] == list(MEASURES)
  assert list(columns)[len(MEASURES) :] == [
    *('phoneme_error', 'viseme_error'),
    *('character_error_by_second', 'word_error_by_second'),
  ]
  assert columns['word_error_by_second'] == ('word error, second', False, 'word_count_by_second')


@pytest.mark.parametrize(('alphabet', 'units'), [('sounds', 2), ('visemes', 1), ('characters', 2)])
def test_a_reader_has_the_columns_of_its_alphabet(alphabet, units):
  assert len(reading_measures('', alphabet)) == units
  assert not any(column.higher_is_better for column in reading_measures('', alphabet).values())


def test_a_wide_table_is_divided_between_groups():
  measures = list(with_readers([('', 'sounds'), ('second', 'characters')]))
  parts = in_narrow_tables(measures)
  assert [measure for part in parts for measure in part] == measures
  assert all(len(part) <= MOST_COLUMNS for part in parts)
  assert all(any(set(group) <= set(part) for part in parts) for group in GROUPS)
  assert parts[-1] == ['phoneme_error', 'viseme_error', 'character_error_by_second', 'word_error_by_second']
  few = ['fid', 'mouth_motion', 'phoneme_error']
  assert in_narrow_tables(few) == [few] and in_narrow_tables([]) == [[]]
