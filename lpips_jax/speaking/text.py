"""Text to be said: read from files of any usual encoding, and freed from what cannot be said or shown."""

import codecs
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import PathLike

MAX_CHARACTERS = 30_000  # some forty minutes of prose; of digits, ten times as much
MAX_BYTES = 4 * MAX_CHARACTERS + 4  # of a file: a character has four at most, in front of them may be a mark

BRACKETS = '([{"\'“”‘’«»‹›<>*_~#|`¿¡)]}'
SENTENCE_END = re.compile(r'[.!?…。！？][^\w\s]*\s*$')
INITIAL = re.compile(r'[^\W\d_]\.')
# Words that end in a full stop, and no sentence, whatever follows or before a number; of several languages.
NUMBERED = ('no.', 'nr.', 'p.', 'vol.')
NO_END = frozenset(
  ('mr.', 'mrs.', 'ms.', 'dr.', 'prof.', 'st.', 'vs.', 'e.g.', 'i.e.', 'approx.', 'hr.', 'fr.', 'z.b.')
)


def read_text_file(path: PathLike) -> str:
  """Reads a text file in UTF-8, or in UTF-16 with or without its mark; line ends become those of Python.

  Raises:
    UserError: the file cannot be read, is too large, or holds bytes that are no text.
  """
  if os.path.exists(path) and not os.path.isfile(path):
    raise UserError(f'the text {path} cannot be read: it is no regular file')
  try:
    with open(path, 'rb') as file:
      content = file.read(MAX_BYTES + 1)
  except (OSError, ValueError) as error:  # ValueError: this cannot be a name
    reason = getattr(error, 'strerror', None) or first_line(error)
    raise UserError(f'the text {path} cannot be read: {reason}') from error
  if len(content) > MAX_BYTES:
    raise UserError(f'the text {path} has more than {MAX_CHARACTERS:,} characters: say it in parts')
  try:
    text = _decoded(content)
  except UnicodeDecodeError as error:
    raise UserError(f'{Path(path)} is no text in UTF-8 or UTF-16: save it as UTF-8') from error
  if '\0' in text:
    raise UserError(f'{Path(path)} is no text: it holds zeros')
  return text.replace('\r\n', '\n').replace('\r', '\n')


def cleaned(text: str) -> str:
  """Returns a text without control characters, with one blank between words and an empty line between paragraphs.

  Raises:
    UserError: nothing is left to say, or too much.
  """
  if len(text) > MAX_CHARACTERS:
    raise UserError(f'text has {len(text):,} characters, more than {MAX_CHARACTERS:,}: say it in parts', 'text')
  shown = ''.join(_shown(character) for character in unicodedata.normalize('NFC', text))
  paragraphs = [' '.join(part.split()) for part in re.split(r'\n[^\S\n]*\n', '\n'.join(shown.splitlines()))]
  kept = '\n\n'.join(filter(None, paragraphs))
  if not any(unicodedata.category(character)[0] in 'LN' for character in kept):
    raise UserError('text has nothing to say: it needs a letter or a number', 'text')
  return kept


def ends_sentence(word: str, following: str) -> bool:
  """Returns whether a word is the last of its sentence.

  Args:
    word: with its marks and the blanks that follow it.
    following: the next word; '' at the end.
  """
  if '\n' in word or not following.strip():
    return True
  if not SENTENCE_END.search(word):
    return False
  bare = word.strip().strip(BRACKETS)
  if not bare.endswith('.') or bare.endswith('..'):
    return True
  start = following.lstrip(BRACKETS)[:1]
  if start.islower() or (start.isdigit() and bare.lower() in NUMBERED):
    return False
  return not (bare.lower() in NO_END or INITIAL.fullmatch(bare))


def sentences(text: str, most: int) -> Iterator[str]:
  """Yields the sentences of a text, with the blanks that follow; longer ones than `most` characters in parts."""
  words = [part for word in re.findall(r'\S+\s*', text) for part in _parts(word, most)]
  sentence = ''
  for word, following in zip(words, [*words[1:], ''], strict=True):
    if sentence and len(sentence) + len(word) > most:
      yield sentence
      sentence = ''
    sentence += word
    if ends_sentence(word, following):
      yield sentence
      sentence = ''


def _parts(word: str, most: int) -> Iterator[str]:
  return (word[start : start + most] for start in range(0, len(word), most))


def _shown(character: str) -> str:
  """Returns a character, a blank for a control character, and nothing for marks that neither join nor show anything."""
  category = unicodedata.category(character)
  if category == 'Cf':
    return character if character in '\u200c\u200d' else ''  # these two choose the forms of letters
  return ' ' if category in ('Cc', 'Cs', 'Cn', 'Co') and character not in '\r\n\v\f\x85' else character


def _decoded(content: bytes) -> str:
  if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
    return content.decode('utf-16')
  if b'\0' in content[:2] and len(content) % 2 == 0:
    return content.decode('utf-16-be' if content[:1] == b'\0' else 'utf-16-le')
  return content.decode('utf-8-sig')
