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
  'mr.': 'mister', 'mrs.': 'missus', 'ms.': 'ms', 'dr.': 'doctor', 'prof.': 'professor', 'st.': 'saint', 'vs.': 'versus',
  'jr.': 'junior', 'sr.': 'senior', 'no.': 'number', 'inc.': 'incorporated', 'ltd.': 'limited', 'dept.': 'department',
  'approx.': 'approximately', 'etc.': 'etcetera', 'e.g.': 'for example', 'i.e.': 'that is', 'jan.': 'january',
  'feb.': 'february', 'aug.': 'august', 'sept.': 'september', 'oct.': 'october', 'nov.': 'november', 'dec.': 'december',
  'mr': 'mister', 'mrs': 'missus', 'dr': 'doctor', 'vs': 'versus',
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
SPECIAL_LETTERS = str.maketrans({'ß': 'ss', 'æ': 'ae', 'œ': 'oe', 'ø': 'o', 'ł': 'l', 'đ': 'd', 'ð': 'd', 'þ': 'th',
                                 'ı': 'i', '’': "'", '‘': "'", 'ʼ': "'"})  # fmt: skip
PIECE = re.compile(r"\d+(?:[.,:]\d+)*(?:st|nd|rd|th)?|[^\W\d_]+(?:'[^\W\d_]+)*|[^\w\s]")


@dataclass(frozen=True)
class Token:
  """What stands between two blanks of a text.

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
  tokens = []
  for match, following in zip(found, [*found[1:], None], strict=True):
    token = _token(match, following[1] if following else '', shouted)
    tokens.append(token)
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
  if found := in_words(bare):
    yield from found
    return
  if re.fullmatch(r'(?:[^\W\d_]\.)+[^\W\d_]', bare):  # U.S.A
    bare = bare.replace('.', '').upper()
    yield from _plain(bare).upper()
    return
  pieces = PIECE.findall(bare.translate(SPECIAL_LETTERS))
  for place, piece in enumerate(pieces):
    if piece[0].isdigit() or unicodedata.category(piece[0])[0] == 'N' and piece not in SIGNS:
      yield from in_words(piece) or digits(_plain(piece))
    elif piece[0].isalpha():
      if place and pieces[place - 1][0].isdigit() and piece.lower() in UNITS:
        yield UNITS[piece.lower()]
      else:
        yield from _letters(piece, shouted)
    elif piece in SIGNS:
      yield from SIGNS[piece].split()
    elif piece in './' and 0 < place < len(pieces) - 1 and '.' in pieces:
      yield 'dot' if piece == '.' else 'slash'


def _letters(piece: str, shouted: bool) -> Iterator[str]:
  """Yields a word, or the letters of one that nobody could say."""
  plain = _plain(piece)
  voiceless = len(plain) > 1 and not re.search('[aeiouy]', plain.lower())
  if plain.isupper() and (voiceless or (1 < len(plain) < 4 and not shouted)):
    yield from plain.replace("'", '')
  elif (
    voiceless and len(plain) < 6 and plain.lower() not in ('hmm', 'shh', 'psst', 'brr', 'pst', 'mmm', 'hm', 'mr', 'mrs')
  ):
    yield from plain.replace("'", '').upper()
  else:
    word = plain.lower()
    yield from (word[start : start + MAX_LETTERS] for start in range(0, len(word), MAX_LETTERS))


def _plain(piece: str) -> str:
  """Returns letters and digits without their accents; raises UserError for those of other scripts."""
  decomposed = unicodedata.normalize('NFKD', piece.lower().translate(SPECIAL_LETTERS) if piece.islower() else piece)
  plain = ''.join(character for character in decomposed if not unicodedata.combining(character))
  if re.search(r"[^A-Za-z0-9']", plain):
    raise UserError(
      f'the built-in voice reads English letters only, not {piece[:20]!r}: use voice=espeak and its language', 'voice'
    )
  return plain
