"""English text as a person reads it aloud: words in place of numbers, abbreviations and signs, and the pauses."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from lpips_jax.core.errors import UserError
from lpips_jax.speaking.numerals import digits, in_words
from lpips_jax.speaking.text import BRACKETS, ends_sentence

# Seconds of silence after the marks that end a word.
PAUSES = {'.': 0.45, '!': 0.45, '?': 0.45, '…': 0.45, ':': 0.3, ';': 0.3, '—': 0.3, '–': 0.3, ',': 0.2, ')': 0.12}
PARAGRAPH_PAUSE = 0.7
DASHES = '—–-'
MAX_LETTERS = 32  # of a word; longer ones are read in parts
ABBREVIATIONS = {
  'mr.': 'mister', 'mrs.': 'missus', 'ms.': 'ms', 'dr.': 'doctor', 'prof.': 'professor', 'st.': 'saint',
  'vs.': 'versus', 'jr.': 'junior', 'sr.': 'senior', 'no.': 'number', 'inc.': 'incorporated', 'ltd.': 'limited',
  'dept.': 'department', 'approx.': 'approximately', 'etc.': 'etcetera', 'e.g.': 'for example', 'i.e.': 'that is',
  'jan.': 'january', 'feb.': 'february', 'aug.': 'august', 'sept.': 'september', 'oct.': 'october',
  'nov.': 'november', 'dec.': 'december', 'mr': 'mister', 'mrs': 'missus', 'dr': 'doctor', 'vs': 'versus',
}  # fmt: skip
NUMBER_FOLLOWS = 'no.'  # which is a word of its own elsewhere
SIGNS = {
  '&': 'and', '@': 'at', '+': 'plus', '=': 'equals', '%': 'percent', '°': 'degrees', '©': 'copyright', '§': 'section',
  '$': 'dollars', '€': 'euros', '£': 'pounds', '×': 'times', '½': 'one half', '¼': 'one quarter', '¾': 'three quarters',
}  # fmt: skip
UNITS = {
  'km': 'kilometers', 'cm': 'centimeters', 'mm': 'millimeters', 'm': 'meters', 'kg': 'kilograms', 'g': 'grams',
  'mg': 'milligrams', 'l': 'liters', 'ml': 'milliliters', 's': 'seconds', 'ms': 'milliseconds', 'min': 'minutes',
  'h': 'hours', 'kb': 'kilobytes', 'mb': 'megabytes', 'gb': 'gigabytes', 'hz': 'hertz', 'khz': 'kilohertz',
}  # fmt: skip
SPECIAL_LETTERS = str.maketrans({
  'ß': 'ss', 'æ': 'ae', 'Æ': 'Ae', 'œ': 'oe', 'Œ': 'Oe', 'ø': 'o', 'Ø': 'O', 'ł': 'l', 'Ł': 'L', 'đ': 'd', 'ð': 'd',
  'þ': 'th', 'Þ': 'Th', 'ı': 'i', '’': "'", '‘': "'", 'ʼ': "'", 'º': '°', 'ª': '',
})  # fmt: skip
HUMMED = ('hm', 'hmm', 'mm', 'mmm', 'shh', 'psst', 'pst', 'brr')  # said without a vowel
INITIALS = re.compile(r'(?:[A-Za-z]\.)+[A-Za-z]')
PIECE = re.compile(r"\d{3}0s\b|\d+(?:[.,:]\d+)*(?:st|nd|rd|th)?|[^\W\d_]+(?:'[^\W\d_]+)*|[^\w\s]")


@dataclass(frozen=True)
class Token:
  """The part of a text between two blanks.

  Attributes:
    text: as it is written, with the blanks that follow.
    words: as they are said, for `pronouncing.pronounce`; none for a mark alone.
    pause: seconds of silence after it.
  """

  text: str
  words: tuple[str, ...]
  pause: float


def read(text: str) -> list[Token]:
  """Returns the tokens of an English text, `text.cleaned`.

  Raises:
    UserError: it has letters of another script, or nothing that is said.
  """
  shouted = text.isupper() and ' ' in text
  found = list(re.finditer(r'(\S+)\s*', text))
  following = [*(match[1] for match in found[1:]), '']
  tokens = [_token(match, after, shouted) for match, after in zip(found, following, strict=False)]
  if not any(token.words for token in tokens):
    raise UserError('text has nothing to say: it needs a letter or a number', 'text')
  return tokens


def _token(match: re.Match[str], following: str, shouted: bool) -> Token:
  core = match[1].lstrip(BRACKETS)
  bare = core.rstrip(BRACKETS + '.,!?…:;—–-')
  tail = core[len(bare) :]
  abbreviation = f'{bare.lower()}.' if tail.startswith('.') else bare.lower()
  if abbreviation in ABBREVIATIONS and (abbreviation != NUMBER_FOLLOWS or following[:1].isdigit()):
    words = tuple(ABBREVIATIONS[abbreviation].split())
  else:
    words = tuple(_words(bare, shouted))
  marks = tail if ends_sentence(match[0], following) else tail.replace('.', '')
  pause = max((PAUSES.get(mark, 0.0) for mark in marks), default=0.0)
  if not bare and any(mark in core for mark in DASHES):
    pause = PAUSES['—']
  return Token(match[0], words, PARAGRAPH_PAUSE if '\n' in match[0] else pause)


def _words(bare: str, shouted: bool) -> Iterator[str]:
  plain = _latin(bare)
  if found := in_words(plain):
    yield from found
    return
  if INITIALS.fullmatch(plain):
    yield from plain.replace('.', '').upper()
    return
  pieces = PIECE.findall(plain)
  for place, piece in enumerate(pieces):
    before = pieces[place - 1] if place else ''
    if piece[0].isdecimal():
      yield from in_words(piece) or digits(re.sub(r'\D', '', piece))
    elif piece[0].isalpha() and before[:1].isdecimal() and piece.lower() in UNITS:
      yield UNITS[piece.lower()]
    elif piece[0].isalpha():
      yield from _letters(piece, shouted)
    elif piece in SIGNS:
      yield from SIGNS[piece].split()
    elif piece == '.' and before and place < len(pieces) - 1:
      yield 'dot'


def _letters(word: str, shouted: bool) -> Iterator[str]:
  """Yields a word, in parts if it is very long, or the names of its letters if nobody could say it."""
  unsayable = len(word) < 6 and not re.search('[aeiouy]', word.lower()) and word.lower() not in HUMMED
  abbreviation = word.isupper() and 1 < len(word) < 4 and not shouted
  if unsayable or abbreviation:
    yield from re.sub('[^A-Z]', '', word.upper())
  else:
    yield from (word[start : start + MAX_LETTERS].lower() for start in range(0, len(word), MAX_LETTERS))


def _latin(text: str) -> str:
  """Returns a text without the accents of its letters; raises UserError for letters of other scripts."""
  plain = ''.join(
    ''.join(part for part in unicodedata.normalize('NFKD', character) if part.isalpha())
    if character.isalpha()
    else character
    for character in text.translate(SPECIAL_LETTERS)
  )
  if foreign := ''.join(character for character in plain if character.isalpha() and not character.isascii()):
    problem = f'builtin reads English letters only, not {foreign[:20]!r}'
    raise UserError(f'{problem}: use voice=espeak and its language', 'voice', 'language')
  return plain
