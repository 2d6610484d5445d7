"""Errors of reading: what a lip reader writes, against what was said.

An error rate is the least number of insertions, deletions and substitutions that turn one into the other (Levenshtein,
1966), over the number of symbols that were said: of sounds the phoneme error rate, of visemes, characters and words
likewise.
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lpips_jax.audio.alphabets import ALPHABETS, spelled
from lpips_jax.audio.visemes import OF_SOUND

Symbols = Sequence[Hashable]
Labels = Iterable[int] | Int[np.ndarray, ' n']


class Edits(NamedTuple):
  """Edits that turn the truth into what was read, and the number of symbols of the truth; they can be added up.

  Attributes:
    insertions: symbols that were read and not said.
    deletions: symbols that were said and not read.
    substitutions: symbols read as others.
    said: symbols of the truth.
  """

  insertions: int = 0
  deletions: int = 0
  substitutions: int = 0
  said: int = 0

  @property
  def total(self) -> int:
    """The distance."""
    return self.insertions + self.deletions + self.substitutions

  @property
  def rate(self) -> float:
    """The error rate: 0 for a perfect reading, more than 1 if much is read that nobody said; NaN if nothing was."""
    return self.total / self.said if self.said else float('nan')


def edits(said: Symbols, read: Symbols) -> Edits:
  """Returns the fewest edits that turn `said` into `read`; among as few, those with the most substitutions.

  Args:
    said: the truth.
    read: what was read.
  """
  # Rows of the table: each entry is (distance, insertions, deletions), compared in that order.
  row = [(k, k, 0) for k in range(len(read) + 1)]
  for number, symbol in enumerate(said, 1):
    above, row = row, [(number, 0, number)]
    for k, other in enumerate(read):
      distance, insertions, deletions = above[k]
      kept = distance + (symbol != other), insertions, deletions
      distance, insertions, deletions = above[k + 1]
      deleted = distance + 1, insertions, deletions + 1
      distance, insertions, deletions = row[k]
      row.append(min(kept, deleted, (distance + 1, insertions + 1, deletions)))
  distance, insertions, deletions = row[-1]
  return Edits(insertions, deletions, distance - insertions - deletions, len(said))


def added(counts: Iterable[Edits]) -> Edits:
  """Returns the edits of several clips together: their rate is that of the sums, so that long clips count more."""
  return Edits(*(sum(column) for column in zip(Edits(), *counts, strict=True)))


def greedy(logits: Float[np.ndarray, 't c'], length: int | np.integer | None = None) -> list[int]:
  """Returns the labels of the likeliest path: equal neighbours are one, and blanks, label 0, part them.

  Args:
    logits: log-odds, or probabilities, of each frame's label, as of CTC.
    length: frames that are real; None if all are.
  """
  path = np.asarray(logits)[:length].argmax(-1)
  return [int(label) for label, _ in groupby(path) if label]


def visemes(sounds: Iterable[str]) -> list[str]:
  """Returns the visemes of sounds of the embedded corpus, silence left out; equal neighbours, which look one, are one.

  Raises:
    KeyError: there is no such sound.
  """
  return [viseme for viseme, _ in groupby(OF_SOUND[sound] for sound in sounds if sound)]


def errors(said: Labels, read: Labels, alphabet: str) -> dict[str, Edits]:
  """Returns the edits of one clip by what is counted.

  Args:
    said: labels that are true; 0 is padding.
    read: labels from `greedy`.
    alphabet: of `audio.alphabets.ALPHABETS`, in which both are written.

  Returns:
    Of sounds `phoneme` and `viseme`, where equal visemes that follow each other are one; of visemes `viseme`; of
    characters `character` and `word`.
  """
  truth, reading = spelled(said, alphabet), spelled(read, alphabet)
  if alphabet == 'sounds':
    return {'phoneme': edits(truth, reading), 'viseme': edits(visemes(truth), visemes(reading))}
  if alphabet == 'visemes':
    return {'viseme': edits(truth, reading)}
  return {'character': edits(truth, reading), 'word': edits(''.join(truth).split(), ''.join(reading).split())}


def viseme_table() -> Int[np.ndarray, ' c']:
  """Returns for each label of 'sounds' that of its viseme in 'visemes', int32; for the blank the blank."""
  symbols = ALPHABETS['visemes']
  return np.array([0, *(symbols.index(OF_SOUND[sound]) for sound in ALPHABETS['sounds'][1:])], np.int32)
