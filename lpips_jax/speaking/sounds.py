"""The one table from phones, as dictionaries write them, to the sounds that the embedded corpus can make.

It is of how phones sound; how they look is told by `audio.visemes`.
"""

from typing import NamedTuple

from data_pipeline.corpora.talking_faces.articulation import CONSONANTS, VOWELS


class Sound(NamedTuple):
  """A sound of the corpus, as part of a phone.

  Attributes:
    name: of `articulation.VOWELS` or `CONSONANTS`.
    length: factor on its mean duration.
    level: decibels by which it is louder than usual.
  """

  name: str
  length: float = 1.0
  level: float = 0.0


BREATH = 'HH'  # is the beginning of the vowel after it, whispered
# ARPAbet. A diphthong is two vowels, an affricate a stop and its hiss; sounds that the corpus lacks become their
# nearest ones. A phone with a mark of stress goes before the one without. Lengths and levels are those with which a
# recogniser of phones heard most: docs/speech.md.
SOUNDS: dict[str, tuple[Sound, ...]] = {
  **{name.upper(): (Sound(name),) for name in CONSONANTS},
  'AA': (Sound('a', 1.05),),
  'AE': (Sound('ae', 1.05, 2.0),),
  'AH': (Sound('uh'),),
  'AH1': (Sound('uh', 0.5), Sound('a', 0.5)),
  'AO': (Sound('o', 1.1),),
  'AW': (Sound('a', 0.75), Sound('u', 0.55)),
  'AY': (Sound('a', 0.75), Sound('i', 0.6)),
  'EH': (Sound('e', 0.95),),
  'ER': (Sound('uh', 0.6), Sound('r', 0.9)),
  'EY': (Sound('e', 0.6), Sound('i', 0.65)),
  'IH': (Sound('e', 0.55), Sound('i', 0.25)),
  'IY': (Sound('i', 1.1),),
  'OW': (Sound('o', 1.2),),
  'OY': (Sound('o', 0.75), Sound('i', 0.6)),
  'UH': (Sound('u', 0.4), Sound('uh', 0.4)),
  'UW': (Sound('u', 1.1),),
  'CH': (Sound('t', 0.7, 6.0), Sound('sh', 0.65, 6.0)),
  'JH': (Sound('d', 0.7), Sound('sh', 0.55)),
  'D': (Sound('d', 1.0, -10.0),),
  'DH': (Sound('d', 0.5, -8.0),),
  'F': (Sound('f', 1.0, -10.0),),
  'HH': (Sound('uh', 0.6, -8.0),),
  'L': (Sound('l', 1.0, -4.0),),
  'M': (Sound('m', 1.2, 3.0),),
  'N': (Sound('n', 1.2, 3.0),),
  'NG': (Sound('n'),),
  'P': (Sound('p', 1.2),),
  'S': (Sound('s', 1.0, 6.0),),
  'SH': (Sound('sh', 1.0, 6.0),),
  'TH': (Sound('t', 0.8, -6.0),),
  'V': (Sound('v', 1.0, -10.0),),
  'Y': (Sound('i', 0.5),),
  'Z': (Sound('z', 1.0, 6.0),),
  'ZH': (Sound('sh', 0.8, 2.0),),
}


def mean_seconds(name: str) -> float:
  """Returns the mean duration of a sound of the corpus."""
  return (VOWELS.get(name) or CONSONANTS[name]).seconds
