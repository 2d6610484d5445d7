from itertools import groupby

import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.articulation import CONSONANTS, HEARD_AS, VOWELS
from lpips_jax.audio import visemes
from lpips_jax.audio.phones import PHONES, phone_track, timed_phones
from lpips_jax.audio.visemes import (
  LOUDNESS_COLUMN,
  OF_ESPEAK,
  OF_IPA,
  OF_PHONE,
  OF_SOUND,
  PHONE_OF_SOUND,
  PLACE_COLUMN,
  REST,
  VISEMES,
  VisemeTrack,
  phones_of_sounds,
  viseme_track,
  visemes_at,
  visemes_of,
)

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


def rows_of(*phones: str) -> np.ndarray:
  return np.array([PHONES.index(phone) for phone in phones], np.int8)


def test_a_phone_that_stands_for_a_sound_looks_like_it():
  for sound, phone in PHONE_OF_SOUND.items():
    assert OF_PHONE[phone] == (OF_SOUND[sound],)
    assert phone in HEARD_AS.get(sound, (sound.upper(),))


def test_diphthongs_share_their_rows_and_breath_takes_the_next_ones_lips():
  phones = rows_of('', 'HH', 'HH', *['AY'] * 5, 'B', 'P', 'HH')
  shown = [VISEMES[index] for index in visemes_at(phones)]
  assert shown == ['rest', 'a', 'a', 'a', 'a', 'a', 'i', 'i', 'p', 'p', 'rest']


def test_a_track_tells_viseme_place_and_loudness():
  rng = np.random.default_rng(0)
  phones = rows_of('', '', 'M', 'M', 'M', 'M', 'B', 'AA')
  mel = rng.uniform(-2, 2, (8, 80)).astype(np.float32)
  track = viseme_track(phones, mel)
  assert track.shape == (8, 80) and track.dtype == np.float32
  np.testing.assert_array_equal(track[:, : len(VISEMES)].argmax(1), visemes_at(phones))
  np.testing.assert_array_equal(track[:, : len(VISEMES)].sum(1), 1)
  np.testing.assert_allclose(track[:, PLACE_COLUMN], [0, 0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.5], atol=1e-6)
  np.testing.assert_array_equal(track[:, LOUDNESS_COLUMN], phone_track(phones, mel)[:, len(PHONES)])
  assert not track[:, LOUDNESS_COLUMN + 1 :].any() and track[:, LOUDNESS_COLUMN].any()
  np.testing.assert_array_equal(VisemeTrack(phones, mel)[3:6], track[3:6])


def test_sounds_of_the_corpus_become_phones_at_their_times():
  heard = phones_of_sounds([b'', 'sh', 'uh'], np.array([5, 10, 14]), 8)  # 25, 50 and 70 ms, rows of 12.5 ms
  assert [PHONES[index] for index in heard] == ['', '', 'SH', 'SH', 'AH', 'AH', '', '']


@pytest.mark.parametrize('rate', [80, 50])
def test_timed_phones_are_what_is_said_at_each_row(rate):
  ends = np.cumsum(np.random.default_rng(1).integers(1, 9, 20)) / rate
  names = [PHONES[k] for k in range(20)]
  heard = timed_phones(zip(names, ends, strict=True), 300)
  expected = [
    PHONES.index(next((n for n, end in zip(names, ends, strict=True) if k / 80 < end), '')) for k in range(300)
  ]
  np.testing.assert_array_equal(heard, expected)
