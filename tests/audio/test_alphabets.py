"""Alphabets: what sounds, phones and transcripts are in them, and when."""

import numpy as np
import pytest

from lpips_jax.audio.alphabets import ALPHABETS, cleaned, labels_of, spelled, timed_labels
from lpips_jax.audio.phones import PHONES
from lpips_jax.audio.visemes import VISEMES
from lpips_jax.core.errors import UserError


def written(alphabet, *arguments, **named):
  return list(spelled(labels_of(alphabet, *arguments, **named), alphabet))


def heard(*names):
  return np.array([PHONES.index(name) for name in names], np.int8)


def test_alphabets_begin_with_the_blank_and_have_no_symbol_twice():
  assert {name: len(symbols) for name, symbols in ALPHABETS.items()} == {'sounds': 24, 'visemes': 18, 'characters': 39}
  for symbols in ALPHABETS.values():
    assert symbols[0] == '' and len(set(symbols)) == len(symbols)
  assert ALPHABETS['visemes'][1:] == VISEMES[1:]


def test_sounds_are_written_without_silence_and_looks_alike_as_one_viseme():
  sounds = ['', 'k', 'k', 'g', 'a', 'b', '', 'm', 'm']
  assert written('sounds', sounds) == ['k', 'k', 'g', 'a', 'b', 'm', 'm']
  assert written('visemes', sounds) == ['k', 'a', 'p', 'p']  # the silence between b and m is seen
  assert written('sounds', [name.encode() for name in sounds]) == written('sounds', sounds)
  with pytest.raises(UserError, match='visemes or characters'):
    labels_of('sounds', phones=heard('K'))


def test_phones_of_filmed_people_have_visemes_and_sounds_go_before_them():
  phones = heard('', 'K', 'K', 'G', 'AY', 'AY', 'B', '', 'M')
  assert written('visemes', phones=phones) == ['k', 'a', 'i', 'p', 'p']
  assert written('visemes', ['f'], phones) == ['f']


def test_frames_have_the_label_at_their_middle():
  timed = timed_labels('sounds', ['', 'k', 'k', 'a'], np.array([8, 20, 28, 36]))  # 40, 100, 140 and 180 ms
  assert list(timed.at_frames(5)) == [0, *[ALPHABETS['sounds'].index('k')] * 2, ALPHABETS['sounds'].index('a'), -1]
  assert list(timed_labels('visemes', ['', 'k', 'g', 'a'], np.array([8, 20, 28, 36])).ends) == [0.04, 0.14, 0.18]


def test_a_span_has_the_labels_whose_middle_lies_in_it():
  timed = timed_labels('sounds', ['k', 'a', '', 'b'], np.array([16, 40, 48, 64]))  # middles: frames 1, 3.5, 5.5, 7
  for (first, last), expected in {(0, 8): 'kab', (1, 8): 'kab', (2, 7): 'a', (0, 3): 'k', (4, 7): ''}.items():
    assert ''.join(spelled(timed.between(first, last), 'sounds')) == expected


def test_phones_are_in_step_with_their_rows():
  phones = np.repeat(heard('', 'F', 'AA'), [32, 16, 33])  # at rows 0, 32 and 48 of 80 a second, to 1 s
  labels = timed_labels('visemes', phones=phones).at_frames(25)
  expected = np.repeat([0, *(VISEMES.index(name) for name in 'fa')], [10, 5, 10])
  np.testing.assert_array_equal(labels, expected)
  blip = np.append(heard(*[''] * 80), heard('F'))  # half of the last row lies in the clip
  assert len(timed_labels('visemes', phones=blip).between(0, 25)) == len(labels_of('visemes', phones=blip)) == 1


def test_transcripts_are_cleaned():
  assert cleaned("  It’s 20-odd years, {LG} isn't it? Café/bar:  OK! ") == "IT'S 20 ODD YEARS ISN'T IT CAFE BAR OK"
  text = "WHEN YOU'RE 42"
  assert ''.join(written('characters', text=text)) == text == ''.join(written('characters', text=text.encode()))
  assert labels_of('characters').shape == (0,) and cleaned('{NS}') == ''
