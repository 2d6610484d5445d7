from itertools import groupby

import pytest

from data_pipeline.corpora.talking_faces.articulation import CONSONANTS, VOWELS
from lpips_jax.audio import visemes
from lpips_jax.audio.phones import PHONES
from lpips_jax.audio.visemes import OF_ESPEAK, OF_IPA, OF_PHONE, OF_SOUND, REST, VISEMES, visemes_of

TABLES = OF_PHONE, OF_ESPEAK, OF_IPA


def test_every_sound_of_the_corpus_has_a_viseme():
  assert set(OF_SOUND) == {'', *VOWELS, *CONSONANTS}
  assert OF_SOUND[''] == REST == VISEMES[0]
  assert len(VISEMES) == len(set(VISEMES)) == len(set(OF_SOUND.values())) == 18


def test_sounds_that_the_corpus_draws_alike_are_one_viseme():
  members = {name: ''.join(group) for name, group in groupby(OF_SOUND, OF_SOUND.get) if name != REST}
  assert {group for group in members.values() if group not in OF_SOUND} == {'pbm', 'fv', 'sz', 'td', 'kg'}


def test_every_phone_has_visemes():
  assert set(OF_PHONE) == set(PHONES)
  assert [phone for phone in PHONES if not OF_PHONE[phone]] == ['HH']  # it takes the next one's


def test_no_symbol_is_listed_twice():
  for column in ('sounds', 'phones', 'mnemonics', 'ipa'):
    symbols = [symbol for row in visemes._TABLE for symbol in getattr(row, column).split()]
    assert sorted(symbols) == sorted(set(symbols)), column


def test_tables_know_no_other_visemes():
  assert {name for table in TABLES for names in table.values() for name in names} <= set(VISEMES)


@pytest.mark.parametrize(
  ('phone', 'mnemonic', 'ipa'),
  [('B', 'b', 'b'), ('AY', "'aI", 'ˈaɪ'), ('CH', 'tS', 'tʃ'), ('NG', 'N', 'ŋ'), ('UW', ',u:', 'uː'), ('ER', '3r', 'ɚ')],
)
def test_alphabets_agree(phone, mnemonic, ipa):
  assert OF_PHONE[phone] == visemes_of(mnemonic, OF_ESPEAK) == visemes_of(ipa, OF_IPA)


def test_symbols_are_read_in_parts():
  assert visemes_of("'aI@3", OF_ESPEAK) == ('a', 'i', 'uh')
  assert visemes_of('pF!', OF_ESPEAK) == ('p', 'f')
  assert visemes_of('ts.h', OF_ESPEAK) == ('t', 'sh')
  assert visemes_of('tʃʲ', OF_IPA) == ('t', 'sh')
  assert visemes_of('_|', OF_ESPEAK) == ('rest',)
  assert visemes_of('', OF_IPA) == visemes_of('ʰ', OF_IPA) == ()
