"""espeak-ng's voices, for some hundred languages, from the package espeakng_loader."""

import difflib
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lpips_jax.audio.phones import TimedPhone
from lpips_jax.audio.visemes import OF_ESPEAK, PHONE_OF_VISEME, visemes_of
from lpips_jax.core.errors import UserError
from lpips_jax.speaking import espeak_process
from lpips_jax.speaking.sounds import BREATH
from lpips_jax.speaking.utterance import Cue, Utterance

DEFAULT = 'en-us'
PAUSE = '_'  # the names of pauses among phonemes begin with it
CLOSURE = '_|', '_!'  # but these are part of the sound after them
ENGLISH = {'a': ('ae',)}  # its mnemonics that stand for another sound elsewhere
NEAR = 4  # languages or variants that an error lists


def say(text: str, variant: str = '', language: str | None = None) -> Utterance:
  """Says a text; see `speaking.say`.

  Args:
    text: from `text.cleaned`.
    variant: of the voice, such as f3 or whisper; '' for the usual one.
    language: its code; English by default.

  Raises:
    UserError: espeak-ng is not installed, or has no such language or variant.
  """
  library = _Library()
  code = (language or DEFAULT).lower().replace('_', '-')
  code, file = library.voice_file(code, variant)
  answer, samples = library.ask(text=text, voice=f'{file}+{variant}' if variant else file)
  cues = tuple(_cues(text, answer, len(samples)))
  if not cues:
    raise UserError(f'espeak-ng finds nothing in text that it can say in language={code}', 'text', 'language')
  name = f'{code}+{variant}' if variant else code
  phones = tuple(_phones(answer, len(samples), OF_ESPEAK | (ENGLISH if code.startswith('en') else {})))
  return Utterance(samples, answer['rate'], cues, f'espeak-ng {answer["version"]}, {name}', phones)


class _Library:
  """The library of espeak-ng and its data; raises UserError if they are not installed."""

  def __init__(self) -> None:
    try:
      import espeakng_loader  # here, because it is optional
    except ImportError as error:
      raise UserError("voice=espeak needs espeak-ng: pip install 'lpips-jax[text]'", 'voice') from error
    self._library, self._data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()

  def ask(self, **request: str) -> tuple[dict[str, Any], np.ndarray]:
    """Returns the answer of `espeak_process`, and the samples, (S,) int16."""
    asked = json.dumps({'library': self._library, 'data': self._data, **request}).encode()
    command = [sys.executable, '-I', '-S', espeak_process.__file__]
    answered = subprocess.run(command, input=asked, capture_output=True, check=False)
    head, _, samples = answered.stdout.partition(b'\n')
    if answered.returncode or not head or not json.loads(head).get('found', True):
      reason = answered.stderr.decode(errors='replace').strip().rpartition('\n')[2] or f'status {answered.returncode}'
      raise UserError(f'espeak-ng fails on this text: {reason}; try another voice', 'voice')
    return json.loads(head), np.frombuffer(samples, np.int16)

  def voice_file(self, code: str, variant: str) -> tuple[str, str]:
    """Returns a language that there is, and the file of its voice; raises UserError for another, or another variant."""
    variants = sorted(path.name for path in Path(self._data, 'voices', '!v').iterdir())
    if variant and variant not in variants:
      near = difflib.get_close_matches(variant, variants, NEAR, 0.4) or variants[:NEAR]
      raise UserError(f'voice=espeak has no variant {variant!r}; near it are {", ".join(near)}', 'voice')
    languages = {found.lower(): voice for found, voice in self.ask()[0]['languages'].items()}
    if code not in languages and code.partition('-')[0] in languages:
      code = code.partition('-')[0]  # a country whose speech it does not tell apart
    if code not in languages:
      near = [f'{found} ({languages[found][0]})' for found in _near(code, languages)]
      raise UserError(f'voice=espeak has no language={code}; near it are {", ".join(near)}', 'voice', 'language')
    return code, languages[code][1]


def _near(code: str, languages: dict[str, list[str]]) -> list[str]:
  """Returns codes of languages whose name is this, or that look alike."""
  names = {name.lower(): found for found, (name, _) in languages.items()}
  alike = [found for name, found in names.items() if code in re.split(r'[^a-z]+', name)]
  alike += [found for found in languages if found.partition('-')[0] == code.partition('-')[0]]
  alike += [names[name] for name in difflib.get_close_matches(code, names, NEAR, 0.7)]
  alike += difflib.get_close_matches(code, languages, NEAR, 0.5)
  return list(dict.fromkeys(alike))[:NEAR] or ['en-us', 'de', 'fr', 'cmn']


def _cues(text: str, answer: dict[str, Any], length: int) -> Iterator[Cue]:
  """Yields a cue for each word of the text that is said."""
  begins: dict[int, int] = {}  # first samples, by where the word begins in the text
  for position, sample in answer['words']:
    begins.setdefault(_word_start(text, position), sample)
  places = sorted(begins)
  for number, place in enumerate(places):
    following = places[number + 1] if number + 1 < len(places) else len(text)
    last = begins[following] if number + 1 < len(places) else length
    begin, end = _sounding(answer['phonemes'], begins[place], last)
    if begin < end:
      yield Cue(begin / answer['rate'], end / answer['rate'], text[place if number else 0 : following])


def _phones(answer: dict[str, Any], length: int, table: dict[str, tuple[str, ...]]) -> Iterator[TimedPhone]:
  """Yields phones that look like what is said, from the first sample to the last."""
  heard = [(sample, name) for sample, name in answer['phonemes'] if name not in CLOSURE and not name.startswith('(')]
  begin, shown = 0, ['']  # before the first one there is silence
  for sample, name in [*heard, (length, PAUSE)]:
    for place, phone in enumerate(shown, start=1):
      yield phone, (begin + (sample - begin) * place / len(shown)) / answer['rate']
    # A sound without lips of its own is a breath, for which they are those of the next one.
    begin = sample
    shown = [''] if _pauses(name) else [PHONE_OF_VISEME[viseme] for viseme in visemes_of(name, table)] or [BREATH]


def _word_start(text: str, position: int) -> int:
  """Returns where what is said at a position begins: after the last blank, or right there in scripts without blanks."""
  if unicodedata.category(text[position : position + 1] or ' ') == 'Lo':
    return position
  return max(text.rfind(blank, 0, position) for blank in ' \n') + 1


def _sounding(phonemes: list[list[Any]], begin: int, end: int) -> tuple[int, int]:
  """Returns the first and the last + 1 sample of a word without the pauses around it."""
  pauses = [(sample, _pauses(name)) for sample, name in phonemes if begin <= sample < end]
  sounding = [place for place, (_, pause) in enumerate(pauses) if not pause]
  if not sounding:
    return begin, end
  last = sounding[-1] + 1
  return pauses[sounding[0]][0] if sounding[0] else begin, pauses[last][0] if last < len(pauses) else end


def _pauses(name: str) -> bool:
  return not name or (name.startswith(PAUSE) and name not in CLOSURE) or name.startswith('(')
