"""Errors of reading against a recursion that follows their definition."""

import math
from collections import defaultdict
from functools import cache
from itertools import groupby, product

import numpy as np
import pytest

from lpips_jax.audio.alphabets import ALPHABETS
from lpips_jax.metrics import reading
from lpips_jax.metrics.reading import Edits


def distance(said, read):
  """Levenshtein's recursion."""

  @cache
  def between(i, j):
    if not i or not j:
      return i + j
    same = between(i - 1, j - 1) + (said[i - 1] != read[j - 1])
    return min(same, between(i - 1, j) + 1, between(i, j - 1) + 1)

  return between(len(said), len(read))


def test_edits_are_as_few_as_the_recursion_finds():
  rng = np.random.default_rng(0)
  for _ in range(200):
    said, read = (rng.integers(1, 4, rng.integers(0, 8)).tolist() for _ in range(2))
    found = reading.edits(said, read)
    assert found.total == distance(said, read)
    assert found.said == len(said)
    assert min(found) >= 0 and found.insertions - found.deletions == len(read) - len(said)


@pytest.mark.parametrize(
  ('said', 'read', 'expected'),
  [
    ('kitten', 'sitting', Edits(1, 0, 2, 6)),
    ('abc', 'abc', Edits(0, 0, 0, 3)),
    ('abc', '', Edits(0, 3, 0, 3)),
    ('', 'ab', Edits(2, 0, 0, 0)),
    ('ab', 'ba', Edits(0, 0, 2, 2)),  # and not one deleted and inserted again
    ('abcd', 'bcd', Edits(0, 1, 0, 4)),
  ],
)
def test_edits_by_kind(said, read, expected):
  assert reading.edits(said, read) == expected


def test_rates_are_of_the_sums_and_unknown_where_nothing_is_said():
  clips = [reading.edits('ab', 'ab'), reading.edits('abcdef', 'xbcd'), reading.edits('', 'a')]
  assert reading.added(clips) == Edits(1, 2, 1, 8)
  assert reading.added(clips).rate == 4 / 8
  assert reading.edits('a', 'bcd').rate == 3
  assert math.isnan(reading.edits('', 'a').rate) and math.isnan(reading.added([]).rate)


def test_greedy_reading_collapses_and_drops_blanks_within_the_length():
  path = [0, 2, 2, 0, 2, 1, 1, 3, 0, 0, 3]
  logits = np.eye(4)[path] + 0.1
  assert reading.greedy(logits) == [2, 2, 1, 3, 3]
  assert reading.greedy(logits, 10) == [2, 2, 1, 3]
  assert reading.greedy(logits, 1) == reading.greedy(logits, 0) == []


def test_sounds_that_look_alike_are_one_viseme():
  assert reading.visemes(['p', 'b', 'a', '', 'm', 's', 'z', 'uh']) == ['p', 'a', 'p', 's', 'uh']
  assert reading.visemes(['a', '', 'a']) == ['a']
  with pytest.raises(KeyError):
    reading.visemes(['q'])


def labels(alphabet, symbols):
  return [ALPHABETS[alphabet].index(symbol) for symbol in symbols]


def test_errors_of_sounds_and_visemes():
  said, read = ['b', 'a', 'd', 's', 'i'], ['p', 'a', 't', 'd', 'i']
  found = reading.errors([*labels('sounds', said), 0, 0], labels('sounds', read), 'sounds')
  assert found == {'phoneme': Edits(0, 0, 3, 5), 'viseme': Edits(0, 1, 0, 5)}
  found = reading.errors(labels('visemes', ['p', 'a', 't']), labels('visemes', ['p', 'o']), 'visemes')
  assert found == {'viseme': Edits(0, 1, 1, 3)}


def test_errors_of_characters_and_words():
  found = reading.errors(labels('characters', 'A BIG DOG'), labels('characters', 'A PIG  DO'), 'characters')
  assert found == {'character': Edits(1, 1, 1, 9), 'word': Edits(0, 0, 2, 3)}


def test_viseme_of_each_label():
  sounds, visemes = ALPHABETS['sounds'], ALPHABETS['visemes']
  table = reading.viseme_table()
  assert len(table) == len(sounds) and table[0] == 0 and table.min() == 0
  for group in ('pbm', 'fv', 'sz', 'td', 'kg'):
    assert {visemes[table[sounds.index(sound)]] for sound in group} == {group[0]}
  assert len(set(table)) == len(visemes)


def test_the_likeliest_labels_are_those_of_all_paths_together():
  """Against every path of a short clip; the likeliest path alone spells something else in some of them."""
  rng, differs = np.random.default_rng(0), 0
  for _ in range(40):
    logits = 1.5 * rng.standard_normal((5, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    total = defaultdict(float)
    for path in product(range(3), repeat=5):
      spelt = tuple(label for label, _ in groupby(path) if label)
      total[spelt] += np.prod([p[t, label] for t, label in enumerate(path)])
    found = reading.likeliest(logits)
    assert tuple(found) == max(total, key=total.get)
    differs += found != reading.greedy(logits)
  assert differs > 2


def test_the_likeliest_labels_of_padding_are_none():
  logits = np.eye(4)[[1, 1, 2, 3]] * 9
  assert reading.likeliest(logits, 3) == [1, 2] and reading.likeliest(logits) == [1, 2, 3]
  assert reading.likeliest(logits, 0) == []
