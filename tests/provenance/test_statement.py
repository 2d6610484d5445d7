"""Statements: the right digital source type, one line for people, and texts of others made harmless."""

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.provenance.statement import IPTC, Mark, Statement, as_ingredients, printable, this_tool


def test_a_dub_is_a_composite_and_an_animated_still_is_not():
  ends = {
    'dubbed': 'compositeWithTrainedAlgorithmicMedia',
    'animated': 'trainedAlgorithmicMedia',
    'regenerated': 'trainedAlgorithmicMedia',
    'drawn': 'algorithmicMedia',
  }
  for source_type, code in ends.items():
    assert Statement(source_type).in_words().split()[-1] == f'{IPTC}{code}'


def test_the_line_names_the_tool_the_model_and_the_voice():
  line = Statement('dubbed', model='demo 12ab', voice='espeak-ng, en').in_words()
  assert line.startswith('AI-modified: ') and f'({this_tool()}, model demo 12ab). ' in line
  assert 'The speech is synthetic, made from text (espeak-ng, en).' in line
  assert 'synthetic' not in Statement('dubbed').in_words() and this_tool().startswith('lpips-jax ')


def test_other_source_types_are_refused():
  with pytest.raises(UserError, match='source_type must be one of dubbed, animated'):
    Statement('recorded')


def test_marks_of_a_part_become_those_of_the_whole():
  marks = [Mark(source_type='a'), Mark('face', tool='b'), Mark('audio', c2pa=True), Mark('nothing')]
  assert [mark.part for mark in as_ingredients('face', marks)] == ['face', 'face/face', 'face/audio']


def test_texts_of_other_files_are_one_printable_line():
  assert printable('a\x1b[31m\x00\nb\u202ec\ud800') == 'a [31m b c'
  assert len(printable('x' * 10_000)) == 300
