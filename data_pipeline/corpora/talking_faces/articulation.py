"""The speech of a procedural speaker: random syllables, and the gestures and sounds that follow from them.

One timeline of phonemes drives both. The lips open with the first formant, spread or round with the second, meet on p,
b and m and rest in silence; `voice` turns the same curves into sound, and `face` into pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lpips_jax.audio.phones import PHONES
from lpips_jax.core.constants import FRAME_RATE

GESTURE_RATE = 200  # Hz, the grid of the gestures: one step is 5 ms, 80 samples of sound

# How fast each articulator moves (standard deviation of the smoothing, seconds): the jaw is slower than the tongue, and
# loudness changes faster than both.
JAW_INERTIA, LIP_INERTIA, TONGUE_INERTIA, LEVEL_INERTIA = 0.030, 0.036, 0.016, 0.006

# Stressed syllables are louder (standard deviation in decibels) and said with a wider mouth: filmed people who say a
# phone 35 dB louder than its mean open their mouth wider by 0.8 of the way from silence to `a`.
STRESS, OPENING_PER_DECIBEL = 4.0, 0.8 / 35

GESTURES = ('opening', 'press', 'width', 'teeth', 'tongue')  # the curves of an `Articulation` that are seen

# Chance of a consonant before the vowel, of another after it, and of a pause after a word.
ONSET, CODA, PAUSE = 0.85, 0.25, 0.2


@dataclass(frozen=True)
class Phoneme:
  """One speech sound: the targets of the articulators, and its acoustics.

  Attributes:
    opening: target of the inner-lip opening, in [-1, 1]; below 0 the lips are pressed together.
    width: target of the lip spread, from -1 (rounded) to 1 (spread); None takes the neighbours' (coarticulation).
    formants: F1, F2, F3 in Hz for an average adult vocal tract (Peterson and Barney 1952 for the vowels).
    seconds: mean duration.
    voicing: amplitude of the voice, 0 to 1.
    noise: amplitude of frication, 0 to 1.
    band: centre and width of the frication noise in Hz.
    teeth: how much the teeth show, 0 to 1.
    tongue: how much the tongue shows, 0 to 1.
    burst: whether a stop is released with a burst of `noise` after a silent closure.
  """

  opening: float
  width: float | None
  formants: tuple[float, float, float]
  seconds: float
  voicing: float = 0.0
  noise: float = 0.0
  band: tuple[float, float] = (2500.0, 1500.0)
  teeth: float = 0.3
  tongue: float = 0.2
  burst: bool = False


SILENCE = Phoneme(-0.12, 0.0, (480, 1450, 2500), 0.25)

# The openings follow measurements of some 60 filmed people: the distance of the inner lips one frame after a recognised
# phone, against the speaker's mean. The first formant alone would put o and w too high.
VOWELS = {
  'a': Phoneme(1.00, 0.10, (800, 1250, 2500), 0.15, voicing=1.0, teeth=0.5, tongue=0.5),
  'ae': Phoneme(1.00, 0.60, (680, 1750, 2450), 0.15, voicing=1.0, teeth=0.7, tongue=0.4),
  'e': Phoneme(0.78, 0.60, (530, 1850, 2500), 0.13, voicing=0.95, teeth=0.7, tongue=0.4),
  'i': Phoneme(0.45, 1.00, (280, 2300, 3000), 0.13, voicing=0.85, teeth=1.0, tongue=0.1),
  'o': Phoneme(0.50, -0.70, (540, 860, 2400), 0.14, voicing=0.95, teeth=0.0),
  'u': Phoneme(0.22, -1.00, (310, 800, 2250), 0.13, voicing=0.85, teeth=0.0, tongue=0.0),
  'uh': Phoneme(0.55, -0.05, (500, 1400, 2400), 0.11, voicing=0.9, teeth=0.3, tongue=0.3),
}

CONSONANTS = {
  'p': Phoneme(-0.50, None, (350, 900, 2200), 0.11, noise=0.5, band=(900, 900), burst=True),
  'b': Phoneme(-0.50, None, (250, 900, 2200), 0.10, voicing=0.18, noise=0.3, band=(900, 900), burst=True),
  'm': Phoneme(-0.50, None, (250, 1000, 2200), 0.11, voicing=0.5),
  'f': Phoneme(0.10, None, (350, 1100, 2300), 0.11, noise=0.35, band=(5500, 4000), teeth=1.0, tongue=0.0),
  'v': Phoneme(0.08, None, (300, 1100, 2300), 0.09, voicing=0.45, noise=0.15, band=(5500, 4000), teeth=1.0, tongue=0.0),
  's': Phoneme(0.25, 0.45, (320, 1700, 2600), 0.12, noise=0.8, band=(6000, 1300), teeth=1.0, tongue=0.0),
  'z': Phoneme(0.22, 0.45, (280, 1700, 2600), 0.10, voicing=0.4, noise=0.4, band=(6000, 1300), teeth=1.0, tongue=0.0),
  'sh': Phoneme(0.35, -0.60, (320, 1700, 2500), 0.12, noise=0.8, band=(3000, 1000), teeth=0.8, tongue=0.0),
  't': Phoneme(0.28, None, (350, 1700, 2600), 0.09, noise=0.7, band=(4500, 1800), teeth=0.8, burst=True),
  'd': Phoneme(0.28, None, (280, 1700, 2600), 0.08, voicing=0.18, noise=0.4, band=(4200, 1800), teeth=0.7, burst=True),
  'n': Phoneme(0.30, None, (270, 1500, 2500), 0.09, voicing=0.5, teeth=0.5, tongue=0.6),
  'l': Phoneme(0.22, None, (360, 1150, 2700), 0.08, voicing=0.7, teeth=0.5, tongue=1.0),
  'k': Phoneme(0.40, None, (350, 1900, 2300), 0.09, noise=0.5, band=(2000, 800), burst=True),
  'g': Phoneme(0.38, None, (280, 1900, 2300), 0.08, voicing=0.18, noise=0.3, band=(1900, 800), burst=True),
  'w': Phoneme(0.06, -1.00, (320, 700, 2200), 0.09, voicing=0.7, teeth=0.0, tongue=0.0),
  'r': Phoneme(0.20, -0.45, (380, 1150, 1600), 0.08, voicing=0.7, teeth=0.3),
}
BILABIALS = ('p', 'b', 'm')
# The phones as which a recogniser of English may hear each sound; it knows more of them than are drawn here.
HEARD_AS = {
  '': ('',), 'a': ('AA', 'AY', 'AW'), 'ae': ('AE',), 'e': ('EH', 'EY'), 'i': ('IY', 'IH', 'Y'), 'o': ('AO', 'OW', 'OY'),
  'u': ('UW', 'UH'), 'uh': ('AH', 'ER', 'HH'), 't': ('T', 'TH'), 'd': ('D', 'DH'), 'n': ('N', 'NG'),
  'sh': ('SH', 'ZH', 'CH', 'JH'),
}  # fmt: skip
# Bilabials are drawn more often than the rest: a viewer checks them first.
_CONSONANT_WEIGHTS = np.array([2.0 if name in BILABIALS else 1.0 for name in CONSONANTS])

_BURST_SECONDS = 0.025
_BREATH = round(0.9 * GESTURE_RATE)  # steps; after this much speech the word that ends is followed by a pause
_LEAD_IN = GESTURE_RATE  # steps; a clip starts between one and two of them, further in than any gesture is smeared


@dataclass(frozen=True)
class Articulation:
  """The curves of an utterance on a grid of 200 Hz; every field has G rows.

  Attributes:
    opening: (G,) inner-lip opening, in [0, 1].
    press: (G,) how hard the lips are pressed together, in [0, 1]; 0 wherever they are apart.
    width: (G,) from -1 (rounded) to 1 (spread).
    teeth: (G,) in [0, 1].
    tongue: (G,) in [0, 1].
    formants: (G, 3) Hz, average adult vocal tract.
    voicing: (G,) amplitude, at least 0; 1 is that of an unstressed vowel.
    noise: (G,) as voicing, of frication.
    band: (G, 2) centre and width of the noise, Hz.
    phonemes: (G,) str, the name of the phoneme; '' in silence.
    begins: (G,) bool, whether a phoneme begins here: two equal ones may follow each other.
  """

  opening: np.ndarray
  press: np.ndarray
  width: np.ndarray
  teeth: np.ndarray
  tongue: np.ndarray
  formants: np.ndarray
  voicing: np.ndarray
  noise: np.ndarray
  band: np.ndarray
  phonemes: np.ndarray
  begins: np.ndarray

  def sounds(self) -> tuple[list[str], np.ndarray]:
    """Returns the phonemes, n names, and their ends, (n,) int32 in steps of 5 ms, rising to G.

    Those that reach over an end of the curves are among them, with the part that lies within. A stop is one sound:
    closure and release.
    """
    starts = np.flatnonzero(np.append(True, self.begins[1:]))
    ends = np.append(starts[1:], len(self.begins)).astype(np.int32)
    return [str(name) for name in self.phonemes[starts]], ends


def articulate(rng: np.random.Generator, seconds: float, tempo: float = 1.0, effort: float = 1.0) -> Articulation:
  """Draws the gestures of a few seconds of random speech, cut out of a longer stretch at a random moment.

  Pauses fall anywhere, so that the openings of two clips are uncorrelated.

  Args:
    rng: draws the phonemes.
    seconds: length; from 2.2 s on there is a pause.
    tempo: speed of speech; 1 is about four syllables a second.
    effort: how far the mouth opens, relative to the targets of the phonemes.
  """
  n_steps = round(seconds * GESTURE_RATE)
  start = rng.integers(_LEAD_IN, 2 * _LEAD_IN)
  whole = perform(*_timeline(rng, 3 * _LEAD_IN + n_steps, tempo), effort=effort)
  return Articulation(**{name: curve[start : start + n_steps] for name, curve in vars(whole).items()})


def perform(
  names: Sequence[str],
  seconds: Sequence[float] | None = None,
  stresses: Sequence[float] | None = None,
  tempo: float = 1.0,
  effort: float = 1.0,
) -> Articulation:
  """Returns the gestures of given sounds, one after the other.

  Args:
    names: of `VOWELS` and `CONSONANTS`, or '' for silence; at least one is a vowel or silence. The first and the last
      are continued beyond the ends: begin and end with silence for speech that does.
    seconds: length of each sound, to which a stop adds 25 ms for its burst; by default the sounds' means.
    stresses: decibels by which each sound is louder than usual; by default none is.
    tempo: divides the default lengths; 1 is about four syllables a second.
    effort: how far the mouth opens, relative to the targets of the phonemes.

  Raises:
    ValueError: there is no such sound, or the numbers of names, lengths and stresses differ.
  """
  if unknown := set(names) - {'', *VOWELS, *CONSONANTS}:
    raise ValueError(f'no sounds are called {sorted(unknown)}; there are {[*VOWELS, *CONSONANTS]}, and "" for silence')
  if seconds is None:
    seconds = [_phoneme(name).seconds / tempo for name in names]
  if stresses is None:
    stresses = [0.0] * len(names)
  sounds, begins, segments, lengths = [], [], [], []
  for name, duration, stress in zip(names, seconds, stresses, strict=True):
    for k, (segment, part) in enumerate(_segments(_stressed(_phoneme(name), stress), duration)):
      sounds.append(name)
      begins.append(k == 0)
      segments.append(segment)
      lengths.append(_steps(part))

  def track(values: Sequence | np.ndarray, inertia: float) -> np.ndarray:
    return _smooth(np.repeat(np.asarray(values, np.float64), lengths, axis=0), inertia)

  opening = track([s.opening * (effort if s.opening > 0 else 1) for s in segments], JAW_INERTIA)
  return Articulation(
    opening=np.clip(opening, 0, 1),
    press=np.clip(-2 * opening, 0, 1),
    width=track(_fill_from_neighbours([s.width for s in segments]), LIP_INERTIA),
    teeth=track([s.teeth for s in segments], LIP_INERTIA),
    tongue=track([s.tongue for s in segments], LIP_INERTIA),
    formants=track([s.formants for s in segments], TONGUE_INERTIA),
    voicing=track([s.voicing for s in segments], LEVEL_INERTIA),
    noise=track([s.noise for s in segments], LEVEL_INERTIA),
    band=track([s.band for s in segments], LEVEL_INERTIA),
    phonemes=np.repeat(sounds, lengths),
    begins=_first_steps(begins, lengths),
  )


def as_phones(names: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Returns phones as a recogniser might hear them: names of phonemes (n,) -> (n,) int8, into `audio.phones.PHONES`."""
  edges = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
  heard = [PHONES.index(str(rng.choice(HEARD_AS.get(str(name), (str(name).upper(),))))) for name in names[edges]]
  return np.repeat(np.array(heard, np.int8), np.diff(edges, append=len(names)))


def at_frames(curve: np.ndarray, n_frames: int) -> np.ndarray:
  """Samples a (G,) curve in the middle of each video frame; returns (n_frames,)."""
  times = (np.arange(n_frames) + 0.5) / FRAME_RATE
  return np.interp(times, (np.arange(len(curve)) + 0.5) / GESTURE_RATE, curve)


def _timeline(rng: np.random.Generator, n_steps: int, tempo: float) -> tuple[list[str], list[float], list[float]]:
  """Draws words and pauses of at least `n_steps`; returns their names, lengths and stresses, for `perform`."""
  names, seconds, stresses = [], [], []
  steps = last_pause = 0

  def say(name: str, duration: float, stress: float = 0.0) -> None:
    nonlocal steps
    names.append(name)
    seconds.append(duration)
    stresses.append(stress)
    steps += sum(_steps(part) for _, part in _segments(_phoneme(name), duration))

  while steps < n_steps:
    for syllable in _word(rng):
      stress = rng.normal(0, STRESS)
      for name in syllable:
        say(name, _phoneme(name).seconds * rng.uniform(0.8, 1.35) / tempo, stress)
    if rng.random() < PAUSE or steps - last_pause > _BREATH:
      say('', rng.choice([0.2, 0.3, 0.6]) * rng.uniform(0.8, 1.3))
      last_pause = steps
  return names, seconds, stresses


def _phoneme(name: str) -> Phoneme:
  return SILENCE if name == '' else VOWELS.get(name) or CONSONANTS[name]


def _stressed(phoneme: Phoneme, stress: float) -> Phoneme:
  """Returns a phoneme louder by `stress` decibels, with a wider mouth; lips that are pressed together stay so."""
  louder = 10 ** (stress / 20)
  opening = max(phoneme.opening + OPENING_PER_DECIBEL * stress, 0) if phoneme.opening > 0 else phoneme.opening
  return replace(phoneme, opening=opening, voicing=louder * phoneme.voicing, noise=louder * phoneme.noise)


def _segments(phoneme: Phoneme, seconds: float) -> list[tuple[Phoneme, float]]:
  """Returns the segments of a phoneme and their lengths: a stop is a closure and a release."""
  if not phoneme.burst:
    return [(phoneme, seconds)]
  return [(_closure(phoneme), seconds), (_release(phoneme), _BURST_SECONDS)]


def _steps(seconds: float) -> int:
  return max(1, round(seconds * GESTURE_RATE))


def _word(rng: np.random.Generator) -> list[list[str]]:
  """Draws the syllables of a random word."""
  vowels, consonants = list(VOWELS), list(CONSONANTS)
  weights = _CONSONANT_WEIGHTS / _CONSONANT_WEIGHTS.sum()
  word = []
  for _ in range(rng.integers(1, 4)):
    syllable = [rng.choice(consonants, p=weights)] if rng.random() < ONSET else []
    syllable += [rng.choice(vowels)]
    syllable += [rng.choice(consonants, p=weights)] if rng.random() < CODA else []
    word.append([str(name) for name in syllable])
  return word


def _first_steps(begins: Sequence[bool], lengths: Sequence[int]) -> np.ndarray:
  """Returns True at the first step of each segment with which a phoneme begins, (sum of lengths,)."""
  marks = np.zeros(sum(lengths), bool)
  marks[np.cumsum(lengths) - lengths] = begins
  return marks


def _closure(stop: Phoneme) -> Phoneme:
  return Phoneme(stop.opening, stop.width, stop.formants, stop.seconds, stop.voicing, 0.0, stop.band, stop.teeth)


def _release(stop: Phoneme) -> Phoneme:
  return Phoneme(
    max(stop.opening, 0.1), stop.width, stop.formants, _BURST_SECONDS, stop.voicing, stop.noise, stop.band, stop.teeth
  )


def _fill_from_neighbours(values: list[float | None]) -> np.ndarray:
  known = {i: value for i, value in enumerate(values) if value is not None}
  return np.interp(np.arange(len(values)), list(known), list(known.values()))


def _smooth(values: np.ndarray, inertia: float) -> np.ndarray:
  """Smooths along the first axis with a Gaussian; the ends, which are repeated, are cut off by the caller."""
  sigma = inertia * GESTURE_RATE
  reach = int(3.5 * sigma) + 1
  kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
  kernel /= kernel.sum()
  padded = np.pad(values, [(reach, reach)] + [(0, 0)] * (values.ndim - 1), mode='edge')
  windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
  return windows @ kernel
