"""Visemes, classes of sounds that look alike on the lips: one table for all alphabets in which sounds are written.

Nobody has agreed on the visemes of English. These are the shapes that the embedded corpus can draw, p, b and m one of
them, so that each can be learnt from it; sounds that it lacks have the shape nearest to theirs.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lpips_jax.audio.chunks import ChunkedArray
from lpips_jax.audio.phones import PHONES, loudness_of, timed_phones
from lpips_jax.core.constants import MEL_BANDS

REST = 'rest'  # lips closed, nobody speaks
STRESSES = '\'",%ˈˌ'  # marks in front of espeak-ng's mnemonics, and in IPA


class _Row(NamedTuple):
  """The sounds that look like this, separated by blanks.

  Attributes:
    visemes: one, or those that follow one another in a diphthong or an affricate; none for sounds that are made in the
      throat, on which the lips are those of the next sound.
    sounds: of the embedded corpus.
    phones: ARPAbet.
    mnemonics: espeak-ng's.
    ipa: IPA.
  """

  visemes: str
  sounds: str = ''
  phones: str = ''
  mnemonics: str = ''
  ipa: str = ''


_TABLE = (
  _Row('a', 'a', 'AA', 'a A a: A: aa A~ A0', 'a ɑ'),
  _Row('ae', 'ae', 'AE', '&: {', 'æ'),
  _Row('e', 'e', 'EH', 'e E e: E: E~ E2 &I', 'e ɛ'),
  _Row('i', 'i', 'IY IH Y', 'i I i: I: I2 I# i; j J ;', 'i ɪ ɨ j ʝ'),
  _Row('o', 'o', 'AO', 'o O o: O: O~ 0 02 W W: Y Y: W~', 'o ɔ ɒ ø œ ɵ ɤ'),
  _Row('u', 'u', 'UW UH', 'u U u: U: y y: u-', 'u ʊ y ʏ ʉ ɯ ɥ'),
  _Row('uh', 'uh', 'AH', '@ @2 @- @5 V V: 3 3: a# &', 'ə ʌ ɐ ɜ ɘ ɞ'),
  _Row('p', 'p b m', 'P B M', 'p b m B b# m-', 'p b m ɓ β'),
  _Row('f', 'f v', 'F V', 'f v P v#', 'f v ɸ ʋ ɱ'),
  _Row('s', 's z', 'S Z', 's z z# z2', 's z'),
  _Row('sh', 'sh', 'SH ZH', 'S Z S; Z; s. z.', 'ʃ ʒ ʂ ʐ ɕ ʑ'),
  _Row('t', 't d', 'T D TH DH', 't d T D t# t2 d# * *; R2 t. d. D#', 't d θ ð ɾ r ʈ ɖ ɗ'),
  _Row('n', 'n', 'N', 'n n- n^ n.', 'n ɲ ɳ'),
  _Row('l', 'l', 'L', 'l l- l^ l#', 'l ɫ ɭ ɬ ʎ'),
  _Row('k', 'k g', 'K G NG', 'k g N x C Q X R q c J^ C2', 'k g ɡ ŋ x ɣ ç q ɢ χ ʁ ʀ c ɟ'),
  _Row('w', 'w', 'W', 'w w#', 'w ʍ'),
  _Row('r', 'r', 'R', 'r r- r#', 'ɹ ɻ'),
  _Row('a u', '', 'AW', 'aU', 'aʊ'),
  _Row('a i', '', 'AY', 'aI', 'aɪ'),
  _Row('e i', '', 'EY', 'eI', 'eɪ'),
  _Row('o u', '', 'OW', 'oU', 'oʊ'),
  _Row('o i', '', 'OY', 'OI OY', 'ɔɪ'),
  _Row('uh r', '', 'ER', '', 'ɚ ɝ'),
  _Row('t sh', '', 'CH JH', 'tS dZ', 'tʃ dʒ ʧ ʤ'),
  _Row('p f', '', '', 'pF'),
  _Row('uh l', '', '', '@L'),
  _Row('', '', 'HH', 'h h# H ?', 'h ɦ ħ ʔ ʕ'),
)
_PAUSES = '_', '_:', '_::'  # espeak-ng's; those within a stop are part of it

VISEMES: tuple[str, ...] = (REST, *(row.visemes for row in _TABLE if len(row.visemes.split()) == 1))
OF_SOUND: dict[str, str] = {'': REST} | {sound: row.visemes for row in _TABLE for sound in row.sounds.split()}


def _visemes(column: str) -> dict[str, tuple[str, ...]]:
  return {symbol: tuple(row.visemes.split()) for row in _TABLE for symbol in getattr(row, column).split()}


# The visemes of a sound, in order and equally long; none if the lips are those of the next sound.
OF_PHONE: dict[str, tuple[str, ...]] = {'': (REST,)} | _visemes('phones')
OF_ESPEAK: dict[str, tuple[str, ...]] = dict.fromkeys(_PAUSES, (REST,)) | _visemes('mnemonics')
OF_IPA: dict[str, tuple[str, ...]] = _visemes('ipa')
# The phone that stands for a viseme, and for a sound of the corpus.
PHONE_OF_VISEME: dict[str, str] = {REST: ''} | {
  row.visemes: row.phones.split()[0] for row in _TABLE if row.visemes in VISEMES
}
PHONE_OF_SOUND: dict[str, str] = {
  sound: sound.upper() if OF_PHONE.get(sound.upper()) == (viseme,) else PHONE_OF_VISEME[viseme]
  for sound, viseme in OF_SOUND.items()
}

SOUND_RATE = 200  # Hz, the unit in which a corpus counts the ends of sounds
PLACE_COLUMN, LOUDNESS_COLUMN = len(VISEMES), len(VISEMES) + 1  # of a viseme track, after those of the visemes


def visemes_of(symbol: str, table: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
  """Returns the visemes of a sound as espeak-ng or IPA write it, with marks of stress, length and the like.

  Symbols that the table lacks are read in parts, the longest that it has first; marks that it does not know are passed
  over.

  Args:
    symbol: such as "'aI@" or 'tʃʰ'.
    table: `OF_ESPEAK` or `OF_IPA`.
  """
  rest = symbol.lstrip(STRESSES)
  found: list[str] = []
  while rest:
    size = next((size for size in range(len(rest), 0, -1) if rest[:size] in table), 0)
    found += table[rest[:size]] if size else ()
    rest = rest[max(size, 1) :]
  return tuple(name for place, name in enumerate(found) if place == 0 or name != found[place - 1])


def phones_of_sounds(sounds: Sequence[str | bytes], ends: np.ndarray, rows: int) -> np.ndarray:
  """Returns phones that look like sounds of the embedded corpus, (rows,) int8.

  The corpus calls a sound by any of several phones, as a recogniser might, diphthongs among them, and draws them alike.

  Args:
    sounds: keys of `OF_SOUND`, which records have in UTF-8.
    ends: (len(sounds),) int, where each of them ends, in steps of 5 ms.
    rows: of the mel spectrogram of the speech.
  """
  names = (PHONE_OF_SOUND[sound.decode() if isinstance(sound, bytes) else sound] for sound in sounds)
  return timed_phones(zip(names, np.asarray(ends) / SOUND_RATE, strict=True), rows)


class VisemeTrack:
  """A viseme track, computed when it is sliced; see `viseme_track`.

  Args:
    phones: (M,) int, from `audio.phones.recognise_phones` or `timed_phones`.
    mel: (M, 80), `audio.loudness.mel_of` the same speech, chunked or not.
  """

  def __init__(self, phones: np.ndarray, mel: np.ndarray | ChunkedArray) -> None:
    self._shown, self._loudness = visemes_at(phones), loudness_of(mel)
    self._place = _places(self._shown)

  def __len__(self) -> int:
    return len(self._loudness)

  def __getitem__(self, part: slice) -> np.ndarray:
    shown = self._shown[part]
    track = np.zeros((len(shown), MEL_BANDS), np.float32)
    track[np.arange(len(shown)), shown] = 1
    track[:, PLACE_COLUMN] = self._place[part]
    track[:, LOUDNESS_COLUMN] = self._loudness[part]
    return track


def viseme_track(phones: np.ndarray, mel: np.ndarray) -> np.ndarray:
  """Returns which viseme is shown at each moment: the input of a generator that is driven by visemes.

  Args:
    phones: (M,) int, from `audio.phones.recognise_phones` or `timed_phones`.
    mel: (M, 80), `audio.loudness.mel_of` the same speech.

  Returns:
    (M, 80) float32 in [0, 1], a row each 12.5 ms: one column a viseme, of which one is 1; the place within it, from 0
    at its beginning to 1 at its end, and 0 at rest; the loudness as in a phone track; and zeros.
  """
  return VisemeTrack(phones, mel)[:]


def visemes_at(phones: np.ndarray) -> np.ndarray:
  """Returns the viseme of each row of phones, (M,) int, indices into `VISEMES`.

  The visemes of a diphthong, or of an affricate, share its rows. A phone without any takes the next one's.
  """
  shown = np.zeros(len(phones), int)
  edges = np.flatnonzero(np.diff(phones, prepend=-1, append=-1))
  following = REST
  for begin, end in reversed(list(pairwise(edges))):
    names = OF_PHONE[PHONES[phones[begin]]] or (following,)
    for name, part in zip(names, np.array_split(shown[begin:end], len(names)), strict=True):
      part[:] = _INDICES[name]
    following = names[0]
  return shown


def _places(shown: np.ndarray) -> np.ndarray:
  """Returns the place of each row within its viseme, (M,) float32 in (0, 1); 0 at rest."""
  edges = np.flatnonzero(np.diff(shown, prepend=-1, append=-1))
  lengths = np.diff(edges)
  place = (np.arange(len(shown)) - np.repeat(edges[:-1], lengths) + 0.5) / np.repeat(lengths, lengths)
  return np.where(shown == 0, 0, place).astype(np.float32)


_INDICES = {name: index for index, name in enumerate(VISEMES)}
