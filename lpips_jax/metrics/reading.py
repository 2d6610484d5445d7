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

BEAM_PREFIXES, BEAM_LABELS = 12, 8  # kept after each frame, and tried at each

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


def likeliest(logits: Float[np.ndarray, 't c'], length: int | np.integer | None = None) -> list[int]:
  """Returns the likeliest labels, whatever their times: CTC's prefix beam search (arXiv 1408.2873).

  The likeliest path of `greedy` is one of many that spell the same labels; here their probabilities are added up.

  Args:
    logits: log-odds of each frame's label, as of CTC.
    length: frames that are real; None if all are.
  """
  found = np.asarray(logits, np.float64)[:length]
  log_p = found - np.logaddexp.reduce(found, 1, keepdims=True) if len(found) else found
  # Of each prefix the log-probabilities of its paths that end in a blank, and of those that end in its last label.
  beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
  for frame in log_p:
    longer: dict[tuple[int, ...], list[float]] = {}
    for prefix, (in_blank, in_label) in beam.items():
      either = np.logaddexp(in_blank, in_label)
      _add(longer, prefix, 0, either + frame[0])
      if prefix:
        _add(longer, prefix, 1, in_label + frame[prefix[-1]])
      for label in np.argsort(-frame)[:BEAM_LABELS]:
        if label:
          before = in_blank if prefix and label == prefix[-1] else either
          _add(longer, (*prefix, int(label)), 1, before + frame[label])
    best = sorted(longer.items(), key=lambda found: -np.logaddexp(found[1][0], found[1][1]))[:BEAM_PREFIXES]
    beam = {prefix: (in_blank, in_label) for prefix, (in_blank, in_label) in best}
  return list(next(iter(beam)))  # the first is the best


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


def _add(beam: dict[tuple[int, ...], list[float]], prefix: tuple[int, ...], ending: int, log_p: float) -> None:
  """Adds the probability of paths to those of a prefix with the same ending: 0 for a blank, 1 for its last label."""
  of_prefix = beam.setdefault(prefix, [-np.inf, -np.inf])
  of_prefix[ending] = np.logaddexp(of_prefix[ending], log_p)
