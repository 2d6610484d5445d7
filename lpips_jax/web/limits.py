"""Limits of the page: what it states and keeps."""

import re
from dataclasses import dataclass
from pathlib import Path

from lpips_jax.core.errors import UserError

FOLDER = re.compile(r'(?<!\S)/(?:[^/\s]+/)+')  # of an absolute path
ADVICE = re.compile(r',? or raise (?:max_pixels|max_minutes)(?:=\d+)?')
WORDS = (  # of the page, for lines that name options, which only programs have
  (re.compile(r'^face_part must be .*'), "the film's part needs a begin before its end"),
  (re.compile(r', where face_part begins$'), ''),
  (re.compile(r'^voice=espeak has no language='), 'the voice eSpeak has no language '),
  (re.compile(r'^consent=True says '), 'tick the box that says '),
)

BUG = 'Something went wrong here, which is not your fault; it has been logged. Try again, or try another file.'


@dataclass(frozen=True)
class Limits:
  """The largest that the page accepts.

  Attributes:
    max_minutes: the longest speech.
    max_pixels: the largest picture, width times height.
    max_megabytes: the largest file.
    max_characters: the longest text.
    max_queue: dubs that are made or wait at once.

  Raises:
    UserError: on construction, when one of them is not more than 0.
  """

  max_minutes: float = 5.0
  max_pixels: int = 3840 * 2160
  max_megabytes: int = 500
  max_characters: int = 5000
  max_queue: int = 8

  def __post_init__(self) -> None:
    for name in ('max_minutes', 'max_pixels', 'max_megabytes', 'max_characters', 'max_queue'):
      if not getattr(self, name) > 0:
        raise UserError(f'{name} must be more than 0', name)

  def in_words(self) -> str:
    """Returns the limits as a sentence for the page."""
    return (
      f'Speech of up to {self.max_minutes:g} minutes, pictures of up to {self.max_pixels / 1e6:.1f} million pixels, '
      f'files of up to {self.max_megabytes} MB, {self.max_queue} dubs in the queue.'
    )

  def check_size(self, file: Path) -> None:
    """Raises UserError if a file is too large, or is not there any more."""
    if not file.is_file():
      raise UserError(f'{file.name} does not exist any more: files are deleted after an hour, so give it again')
    if file.stat().st_size > self.max_megabytes * 1_000_000:
      raise UserError(f'{file.name} is larger than {self.max_megabytes} MB: give a smaller file')


def for_the_page(error: UserError) -> str:
  """Returns the line of an error for people at a browser: in the words that they read there."""
  line = str(error)
  for named, words in WORDS:
    line = named.sub(words, line)
  return for_programs(UserError(line))


def for_programs(error: UserError) -> str:
  """Returns the line of an error for programs: without the server's folders, and flags of the server's command."""
  line = ADVICE.sub('', FOLDER.sub('', str(error)))
  first = line.partition(' ')[0]
  return line[:1].upper() + line[1:] if first.isalpha() else line  # names of files and options stay as they are
