"""Statements of provenance: what was done in making a film, by what, and from what."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import metadata

from lpips_jax.core.errors import check_choice

IPTC = 'http://cv.iptc.org/newscodes/digitalsourcetype/'  # the vocabulary of digital source types
SOURCE_TYPES = {
  'dubbed': f'{IPTC}compositeWithTrainedAlgorithmicMedia',
  'animated': f'{IPTC}trainedAlgorithmicMedia',
  'regenerated': f'{IPTC}trainedAlgorithmicMedia',
  'drawn': f'{IPTC}algorithmicMedia',
}
DONE = {
  'dubbed': 'AI-modified: a trained algorithm changed the lips in this film',
  'animated': 'AI-generated: a trained algorithm made this film from a still image',
  'regenerated': 'AI-generated: a trained algorithm changed the lips in a film that a trained algorithm had made',
  'drawn': 'Computer graphics: a program drew this film, and it shows nobody',
}
PACKAGE = 'lpips-jax'
MAX_TEXT = 300  # characters of a text that comes from another file
MAX_INGREDIENTS = 64  # whose marks are kept; each pass over a film adds at most a few


def this_version() -> str:
  """Returns the project's version, or '' where it runs without having been installed."""
  try:
    return metadata.version(PACKAGE)
  except metadata.PackageNotFoundError:
    return ''


def this_tool() -> str:
  """Returns the project's name and version."""
  return f'{PACKAGE} {this_version()}'.rstrip()


@dataclass(frozen=True)
class Statement:
  """A statement about a film that the project makes. It holds no time and no file names: same input, same bytes.

  Attributes:
    source_type: `dubbed`: a film whose lips were changed; `animated`: a still image that was brought to life;
      `regenerated`: a dub of a film that a trained algorithm had made, which `marks` makes of `dubbed`; `drawn`:
      graphics by a program that was not trained.
    tool: name and version of the program; '' for this one.
    model: name or fingerprint of the checkpoint, if there was one.
    voice: the voice, if the speech was made from text; '' if it was recorded.

  Raises:
    UserError: on construction, when there is no such source type.
  """

  source_type: str
  tool: str = ''
  model: str = ''
  voice: str = ''

  def __post_init__(self) -> None:
    check_choice('source_type', self.source_type, SOURCE_TYPES)

  def in_words(self) -> str:
    """Returns one line for people, which ends in IPTC's digital source type."""
    by = f'{self.tool or this_tool()}{f", model {self.model}" if self.model else ""}'
    speech = f' The speech is synthetic, made from text ({self.voice}).' if self.voice else ''
    return f'{DONE[self.source_type]} ({by}).{speech} {SOURCE_TYPES[self.source_type]}'


@dataclass(frozen=True)
class Mark:
  """The statement of one file, as metadata hold it; ours or others'.

  Attributes:
    part: '' for the file itself; `face` or `audio` for what it was made from, `face/audio` for what that was made from.
    source_type: IPTC's digital source type, an address of its vocabulary; '' if not stated.
    tool: the program; '' if not stated.
    model, voice: see `Statement`; '' if not stated.
    c2pa: whether the file carries a C2PA manifest.
  """

  part: str = ''
  source_type: str = ''
  tool: str = ''
  model: str = ''
  voice: str = ''
  c2pa: bool = False

  @property
  def says_something(self) -> bool:
    return bool(self.source_type or self.tool or self.c2pa)


def as_ingredients(part: str, marks: Iterable[Mark]) -> list[Mark]:
  """Returns the marks of a file, its own first, as those of the part of another one that was made from it."""
  return [replace(mark, part='/'.join(filter(None, (part, mark.part)))) for mark in marks if mark.says_something]


def printable(text: str) -> str:
  """Returns a text from another file as one line without control characters, which XML and terminals would obey."""
  return ' '.join(''.join(c if c.isprintable() else ' ' for c in text[: 4 * MAX_TEXT]).split())[:MAX_TEXT]
