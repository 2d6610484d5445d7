"""Alphabets in which a lip reader writes down what it sees, and what clips say in them.

A label is an index into an alphabet. Index 0 is the blank of connectionist temporal classification, and the padding of
label sequences; among the labels of frames it is silence. `spelled` turns labels back into symbols.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lpips_jax.audio.visemes import OF_SOUND, REST, SOUND_RATE, VISEMES, visemes_at
from lpips_jax.core.constants import FRAME_RATE, MEL_RATE
from lpips_jax.core.errors import UserError

BLANK = ''
UNKNOWN = -1  # the label of a frame of which nobody knows what is said, and of padding

ALPHABETS: dict[str, tuple[str, ...]] = {
  'sounds': (BLANK, *(sound for sound in OF_SOUND if sound)),  # of the embedded corpus
  'visemes': (BLANK, *(viseme for viseme in VISEMES if viseme != REST)),
  'characters': (BLANK, *" 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
}
TIMED = 'sounds', 'visemes'  # alphabets whose labels have times
_INDICES = {name: {symbol: index for index, symbol in enumerate(symbols)} for name, symbols in ALPHABETS.items()}


class TimedLabels(NamedTuple):
  """The labels of a clip from its beginning to its end, silence among them.

  Attributes:
    labels: (n,) int32, 0 is silence.
    ends: (n,) float, where each of them ends, in seconds from the first frame, rising.
  """

  labels: np.ndarray
  ends: np.ndarray

  def between(self, first: int, last: int) -> np.ndarray:
    """Returns the labels, without silence, whose middle lies in the frames first..last-1: (l,) int32."""
    middles = (self.ends + np.append(0.0, self.ends[:-1])) / 2 * FRAME_RATE
    return self.labels[(middles >= first) & (middles < last) & (self.labels > 0)]

  def at_frames(self, n_frames: int) -> np.ndarray:
    """Returns the label in the middle of each frame, (n_frames,) int32; past the last end it is unknown."""
    times = (np.arange(n_frames) + 0.5) / FRAME_RATE
    return np.append(self.labels, np.int32(UNKNOWN))[np.searchsorted(self.ends, times, side='right')]


def timed_labels(
  alphabet: str,
  sounds: Sequence[str | bytes] | None = None,
  sound_ends: np.ndarray | None = None,
  phones: np.ndarray | None = None,
) -> TimedLabels:
  """Returns what a clip says in an alphabet of `TIMED`.

  Visemes are those of the sounds if they are known, else of the phones. Equal ones that follow each other at once are
  one, since no eye can tell them apart: `k` and `g`, or `k` twice, are a single long viseme; with silence between them
  they remain two. Sounds are never merged.

  Args:
    alphabet: 'sounds' or 'visemes'.
    sounds: n names of sounds, '' for silence, as records of the embedded corpus have them.
    sound_ends: (n,) int, where they end, in steps of 5 ms.
    phones: (m,) int, from `audio.phones.recognise_phones`.

  Raises:
    UserError: the sounds are not known.
    ValueError: neither sounds nor phones are given, or there is no such alphabet.
  """
  if alphabet not in TIMED:
    raise ValueError(f'alphabet must be one of {", ".join(TIMED)}, not {alphabet!r}')
  indices = _INDICES[alphabet]
  if sounds is not None and sound_ends is not None:
    names = [sound.decode() if isinstance(sound, bytes) else sound for sound in sounds]
    if alphabet == 'visemes':
      names = [OF_SOUND[name] if name else BLANK for name in names]
    timed = TimedLabels(np.array([indices[name] for name in names], np.int32), np.asarray(sound_ends) / SOUND_RATE)
  elif alphabet == 'sounds':
    raise UserError('only talking_faces knows its sounds: of other corpora a reader reads visemes or characters')
  elif phones is None:
    raise ValueError('visemes need the sounds or the phones of a clip')
  else:
    shown = visemes_at(np.asarray(phones)).astype(np.int32)  # rest and blank are both 0
    # A row is centred on its time: it reaches half a row to either side, and the last one to the end of the clip.
    ends = np.minimum(np.arange(len(shown)) + 0.5, len(shown) - 1) / MEL_RATE
    timed = TimedLabels(shown, ends)
  return _merged(timed) if alphabet == 'visemes' else timed


def labels_of(
  alphabet: str,
  sounds: Sequence[str | bytes] | None = None,
  phones: np.ndarray | None = None,
  text: str | bytes = '',
) -> np.ndarray:
  """Returns what a clip says, (l,) int32, without silence; of characters, none where there is no transcript.

  Args:
    alphabet: of `ALPHABETS`.
    sounds, phones: see `timed_labels`.
    text: a transcript.

  Raises:
    UserError: the alphabet is 'sounds', and these are not known.
  """
  if alphabet == 'characters':
    characters = cleaned(text.decode() if isinstance(text, bytes) else text)
    return np.array([_INDICES[alphabet][character] for character in characters], np.int32)
  ends = None if sounds is None else np.arange(1, len(sounds) + 1)  # the order is all that matters
  labels = timed_labels(alphabet, sounds, ends, phones).labels
  return labels[labels > 0]


def spelled(labels: Iterable[int], alphabet: str) -> tuple[str, ...]:
  """Returns the symbols of labels; blanks, padding and unknown ones are left out. Characters join to a text."""
  return tuple(ALPHABETS[alphabet][int(label)] for label in labels if label > 0)


def cleaned(transcript: str) -> str:
  """Returns a transcript in the characters of the alphabet: upper case, with single blanks between words.

  Accents are taken off, hyphens part words, and all else is dropped: punctuation, and what stands in braces, such as
  the `{LG}` of LRS3, which is a laugh.
  """
  plain = unicodedata.normalize('NFKD', re.sub(r'\{[^}]*\}', ' ', transcript)).replace('’', "'").upper()
  spaced = re.sub(r'[-–—/\s]+', ' ', plain)
  return ' '.join(re.sub(r"[^A-Z0-9' ]", '', spaced).split())


def _merged(timed: TimedLabels) -> TimedLabels:
  last = np.flatnonzero(np.append(np.diff(timed.labels) != 0, True))
  return TimedLabels(timed.labels[last], timed.ends[last])
