"""The built-in voice: English by rules, said by the synthesiser of the embedded corpus.

It is a simple synthesiser of formants, for trying things out; it needs nothing beyond the project.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from data_pipeline.corpora.talking_faces.articulation import CONSONANTS, GESTURE_RATE, VOWELS, perform
from data_pipeline.corpora.talking_faces.voice import SAMPLES_PER_STEP, Voice, speak
from lpips_jax.audio.loudness import speech_level
from lpips_jax.audio.phones import TimedPhone
from lpips_jax.audio.visemes import PHONE_OF_SOUND
from lpips_jax.core.constants import SAMPLE_RATE
from lpips_jax.core.errors import UserError
from lpips_jax.speaking.pronouncing import pronounce
from lpips_jax.speaking.reading import Token, read
from lpips_jax.speaking.sounds import BREATH, SOUNDS, mean_seconds
from lpips_jax.speaking.utterance import Cue, Utterance

DESCRIPTION = 'the built-in voice: a simple synthesiser'
VOICE = Voice(pitch=118.0, intonation=0.28, tract=1.05, breath=0.02, level=0.08, hiss=10**-3.6)
LEVEL = -24.0  # dB of full scale, `audio.loudness.speech_level`
TEMPO = 1.35
STRESSED, UNSTRESSED = 1.15, 0.8  # factors on the length of vowels
LOUDER, SOFTER = 2.0, -2.5  # decibels
LAST_SYLLABLE = 1.25  # factor on the length of the sounds before a pause, from the last vowel on
CLUSTER = 0.85  # factor on the length of a consonant beside another
LEAD_IN, CLOSING = 0.15, 0.25  # seconds of silence
BREATH_SECONDS = 6.0  # of speech without a pause, after which a word is followed by one
BREATH_PAUSE = 0.2


@dataclass
class _Sound:
  """A sound to be made; of no token it is silence."""

  name: str
  seconds: float
  level: float = 0.0
  token: int | None = None


def say(text: str, language: str | None = None) -> Utterance:
  """Says an English text; see `speaking.say`.

  Args:
    text: from `text.cleaned`.
    language: None or English of any country.

  Raises:
    UserError: it is another language, or in another script.
  """
  if language is not None and language.lower().replace('_', '-').partition('-')[0] not in ('en', 'eng', 'english'):
    problem = f'builtin speaks English only: for language={language} use voice=espeak'
    raise UserError(problem, 'language', 'voice')
  tokens = read(text)
  samples: list[np.ndarray] = []
  spans: dict[int, tuple[int, int]] = {}
  phones: list[TimedPhone] = []
  length = 0
  for number, stretch in enumerate(_stretches(tokens)):
    sound, ends = _perform(stretch, number)
    for part, begin, end in zip(stretch, [0, *ends], ends, strict=False):
      if part.token is not None:
        spans[part.token] = (spans.get(part.token, (length + begin,))[0], length + end)
      phones.append((PHONE_OF_SOUND[part.name], (length + end) / SAMPLE_RATE))
    samples.append(sound)
    length += len(sound)
  return Utterance(np.concatenate(samples), SAMPLE_RATE, _cues(tokens, spans), DESCRIPTION, tuple(phones))


def _stretches(tokens: Iterable[Token]) -> Iterator[list[_Sound]]:
  """Yields the sounds of the text in stretches, each from a pause to a pause."""
  stretch = [_Sound('', LEAD_IN)]
  for word, token, pause in _words(tokens):
    stretch += _word(word, token)
    if not pause and sum(sound.seconds for sound in stretch) > BREATH_SECONDS:
      pause = BREATH_PAUSE
    if pause:
      yield _ended(stretch, pause / 2)
      stretch = [_Sound('', pause / 2)]
  yield _ended(stretch, CLOSING)


def _words(tokens: Iterable[Token]) -> Iterator[tuple[str, int, float]]:
  """Yields each word, the number of its token, and the pause after it; a mark alone has the word before it pause."""
  waiting: tuple[str, int, float] | None = None
  for number, token in enumerate(tokens):
    if waiting and not token.words:
      waiting = (*waiting[:2], max(waiting[2], token.pause))
    for place, word in enumerate(token.words):
      if waiting:
        yield waiting
      waiting = word, number, token.pause if place == len(token.words) - 1 else 0.0
  if waiting:
    yield (*waiting[:2], 0.0)


def _ended(stretch: list[_Sound], silence: float) -> list[_Sound]:
  """Returns a stretch with its last syllable lengthened, and silence after it."""
  for sound in reversed(stretch):
    sound.seconds *= LAST_SYLLABLE if sound.name else 1
    if sound.name in VOWELS:
      break
  return [*_merged(stretch), _Sound('', silence)]


def _word(word: str, token: int) -> list[_Sound]:
  sounds = []
  phones = pronounce(word)
  stressed = any(phone.endswith('1') for phone in phones)
  for place, phone in enumerate(phones):
    bare = phone.rstrip('01')
    vowel = bare != phone
    length, level = 1.0, 0.0 if stressed else SOFTER
    if vowel:
      length, level = (STRESSED, LOUDER) if phone.endswith('1') else (UNSTRESSED, SOFTER)
    elif any(near[-1] not in '01' for near in (*phones[max(0, place - 1) : place], *phones[place + 1 : place + 2])):
      length = CLUSTER
    parts = SOUNDS.get(phone) or SOUNDS[bare]
    if bare == BREATH and place + 1 < len(phones):
      parts = tuple(part._replace(name=SOUNDS[phones[place + 1].rstrip('01')][0].name) for part in parts)
    for part in parts:
      seconds = mean_seconds(part.name) * part.length * length / TEMPO
      sounds.append(_Sound(part.name, seconds, level + part.level, token))
  return sounds


def _merged(stretch: list[_Sound]) -> list[_Sound]:
  """Says a consonant that ends one word and begins the next once, a little longer."""
  merged: list[_Sound] = []
  for sound in stretch:
    if merged and sound.name == merged[-1].name and sound.name in CONSONANTS:
      merged[-1].seconds = 1.3 * max(merged[-1].seconds, sound.seconds)
    else:
      merged.append(sound)
  return merged


def _perform(stretch: list[_Sound], number: int) -> tuple[np.ndarray, list[int]]:
  """Returns the samples of a stretch, at `LEVEL`, and the last + 1 sample of each sound in it."""
  steps = [max(1, round(sound.seconds * GESTURE_RATE)) for sound in stretch]
  seconds = [step / GESTURE_RATE for step in steps]
  articulation = perform([sound.name for sound in stretch], seconds, [sound.level for sound in stretch])
  samples = speak(articulation, VOICE, np.random.default_rng(number)).astype(np.float32)
  gain = 10 ** ((LEVEL - (speech_level(samples / 32768) or LEVEL)) / 20)

  bursts = [sound.name in CONSONANTS and CONSONANTS[sound.name].burst for sound in stretch]
  burst = (len(articulation.phonemes) - sum(steps)) // max(1, sum(bursts))  # steps that `perform` adds to each stop
  ends = np.cumsum([(step + burst * bursting) * SAMPLES_PER_STEP for step, bursting in zip(steps, bursts, strict=True)])
  return np.clip(np.round(gain * samples), -32768, 32767).astype(np.int16), ends.tolist()


def _cues(tokens: Iterable[Token], spans: dict[int, tuple[int, int]]) -> tuple[Cue, ...]:
  """Returns a cue for each token that is said; the others' text goes with the one before, or else with the first."""
  cues: list[Cue] = []
  before = ''
  for number, token in enumerate(tokens):
    if number in spans:
      begin, end = spans[number]
      cues.append(Cue(begin / SAMPLE_RATE, end / SAMPLE_RATE, before + token.text))
      before = ''
    elif cues:
      cues[-1] = replace(cues[-1], text=cues[-1].text + token.text)
    else:
      before += token.text
  return tuple(cues)
