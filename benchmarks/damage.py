"""Ways in which files come to harm: bytes that are changed, zeroed, missing or in another order."""

from collections.abc import Callable

import numpy as np

EDGE = 2048  # bytes that count as head and as tail
BLOCKS = 8  # of a file whose blocks change places

Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # of (n,) uint8, n > 0, which may be changed in place


def _changed(first: int | None, last: int | None) -> Damage:
  def damage(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    part = content[first:last]
    count = min(len(part), int(2 ** rng.uniform(0, 8)))
    places = rng.integers(0, len(part), count)
    part[places] = rng.integers(0, 256, count)
    return content

  return damage


def _zeroed(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  begin = rng.integers(0, len(content))
  content[begin : begin + int(2 ** rng.uniform(2, 12))] = 0
  return content


def _cut_short(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  return content[: rng.integers(0, len(content))]


def _in_another_order(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  blocks = np.array_split(content, BLOCKS)
  return np.concatenate([blocks[k] for k in rng.permutation(BLOCKS)])


DAMAGES: dict[str, Damage] = {
  'head': _changed(0, EDGE),
  'middle': _changed(None, None),
  'tail': _changed(-EDGE, None),
  'zeros': _zeroed,
  'cut short': _cut_short,
  'another order': _in_another_order,
}
