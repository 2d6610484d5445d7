"""Phones of English words: from a list of words that their spelling does not tell, otherwise from `spelling`."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from lpips_jax.speaking.spelling import RULES
from lpips_jax.speaking.words import LETTERS, LISTED, WEAK

VOWELS = frozenset(('AA', 'AE', 'AH', 'AO', 'AW', 'AY', 'EH', 'ER', 'EY', 'IH', 'IY', 'OW', 'OY', 'UH', 'UW'))
CLASSES = {
  'V': '[aeiouy]',
  'C': '[bcdfghjklmnpqrstvwxz]',
  'E': '(?:e|es|ed|er|ers|ely|eful|ement|eless)',
  'F': '[eiy]',
  'K': '(?:way|out|line|name|time|side|where|thing|body|work|mark|bar|page|wall|word|book|case|board|house|ball|point)',
  'B': '^(?:qu|[bcdfghjklmnpqrstvwxz])*',
}
# Ends of words whose stress falls on the syllable before them.
STRESS_BEFORE = re.compile(
  r'(?:[tsc]i(?:on|an|al|ous|ent)s?|ics?|ical(?:ly)?|ity|ities|ify|ogy|ogist|ian|ial|ious|eous|ual(?:ly)?|graphy|'
  r'ular|utive|itive|ive(?:ly)?(?<=[st]ive))$'
)
PREFIX = re.compile(r'(?:be|de|re|dis|e[nmx]|mis|un|ob|sus|sub|pre|sur|acc|aff|app|ass|att|imp|inv|int?r)[a-z]')
FAR_BACK = re.compile(r'(?:ate[sd]?|ating|ize[sd]?|ise[sd]?|izing|ising|y|ies|ary|ent|ence|ant|ance)$')
REDUCED = {'AE': 'AH', 'AA': 'AH', 'AO': 'AH', 'EH': 'IH', 'UH': 'AH', 'OW': 'OW'}


@lru_cache(maxsize=4096)
def pronounce(word: str) -> tuple[str, ...]:
  """Returns the phones of a word, as the CMU dictionary writes them: a vowel ends in 1 if it is stressed, else in 0.

  Args:
    word: lower-case letters a to z and apostrophes, or a capital letter, which is called by its name.
  """
  listed = _table(LISTED)
  if word.isupper():
    return _marked(_table(LETTERS)[word], word)
  if word in listed:
    return _marked(listed[word], word)
  for ending in "'s", 's':
    stem = word.removesuffix(ending)
    if stem != word and stem in listed and not stem.endswith('s'):
      return _marked([*listed[stem], *_s(listed[stem][-1])], stem)
  return _marked(_spelled_out(word), word)


def _s(last: str) -> list[str]:
  """Returns the phones of a plural's ending after a phone."""
  if last in ('S', 'Z', 'SH', 'ZH', 'CH', 'JH'):
    return ['IH0', 'Z']
  return ['S'] if last in ('P', 'T', 'K', 'F', 'TH') else ['Z']


def _marked(phones: list[str], word: str) -> tuple[str, ...]:
  """Marks the vowels that have no mark yet, by the one that is stressed."""
  if word in WEAK.split():
    return tuple(f'{phone}0' if phone in VOWELS else phone for phone in phones)
  vowels = [place for place, phone in enumerate(phones) if phone.rstrip('01') in VOWELS]
  open_ones = [place for place in vowels if phones[place] in VOWELS]
  if not open_ones:
    return tuple(phones)
  already = any(phones[place].endswith('1') for place in vowels)
  stressed = -1 if already else _stressed(vowels, open_ones, word)
  marked = list(phones)
  for place in open_ones:
    if place == stressed:
      marked[place] = f'{phones[place]}1'
    else:
      marked[place] = f'{_reduced(phones, place, vowels)}0'
  return tuple(marked)


def _stressed(vowels: list[int], open_ones: list[int], word: str) -> int:
  """Returns the place of the stressed vowel."""
  before = STRESS_BEFORE.search(word)
  if before and len(vowels) > 1:
    syllables = len(re.findall('[aeiouy]+', before[0]))
    wanted = vowels[max(0, len(vowels) - syllables - 1)]
    return wanted if wanted in open_ones else open_ones[-1]
  if len(vowels) == 2 and len(open_ones) == 2 and PREFIX.match(word):
    return open_ones[1]
  if len(vowels) >= 4 and FAR_BACK.search(word):
    wanted = vowels[-3]
    return wanted if wanted in open_ones else open_ones[0]
  if len(vowels) >= 3 and PREFIX.match(word) and len(open_ones) > 1:
    return open_ones[1]
  return open_ones[0]


def _reduced(phones: list[str], place: int, vowels: list[int]) -> str:
  """Returns an unstressed vowel: before the stress, and inside a word, short ones lose their colour."""
  phone = phones[place]
  return REDUCED.get(phone, phone) if place != vowels[-1] or phone in ('AE', 'AA') else phone


class Rule(NamedTuple):
  """One letter-to-sound rule.

  Attributes:
    letters: the letters that it reads.
    before: matches the letters before them; None for any.
    after: matches the letters after them, from their beginning; None for any.
    phones: of the letters; none if they are silent.
  """

  letters: str
  before: re.Pattern[str] | None
  after: re.Pattern[str] | None
  phones: tuple[str, ...]


def _spelled_out(word: str) -> list[str]:
  """Returns the phones of a word by the rules, stress not yet assigned.

  Args:
    word: of the letters a to z and apostrophes.
  """
  phones: list[str] = []
  rules = _rules()
  place = 0
  while place < len(word):
    before, after = word[:place], word[place:]
    rule = next(rule for rule in rules[word[place]] if _fits(rule, before, after))
    phones += rule.phones
    place += len(rule.letters)
  return phones


def _fits(rule: Rule, before: str, after: str) -> bool:
  if not after.startswith(rule.letters) or (rule.before and not rule.before.search(before)):
    return False
  return rule.after is None or rule.after.match(after[len(rule.letters) :]) is not None


@cache
def _rules() -> dict[str, list[Rule]]:
  """Returns the rules by the first of their letters."""
  rules: dict[str, list[Rule]] = {}
  for line in filter(None, RULES.splitlines()):
    pattern, *phones = line.split()
    left, _, rest = pattern.partition('{')
    letters, _, right = rest.partition('}')
    before = re.compile(f'(?:{_expanded(left)})$') if left else None
    after = re.compile(_expanded(right)) if right else None
    spoken = () if phones == ['.'] else tuple(phones)
    rules.setdefault(letters[0], []).append(Rule(letters, before, after, spoken))
  return rules


def _expanded(pattern: str) -> str:
  return re.sub('[VCEFKB]', lambda found: CLASSES[found[0]], pattern)


@cache
def _table(entries: str) -> dict[str, list[str]]:
  """Returns the phones of each word of a table of `words`."""
  return {word: phones for word, *phones in (entry.split() for entry in entries.replace('\n', '|').split('|') if entry)}
