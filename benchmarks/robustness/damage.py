"""Kinds of damage to files: bytes changed, zeroed, cut off or reordered."""

from collections.abc import Callable

import numpy as np

EDGE_BYTES = 2048  # length of a head and of a tail
BLOCKS = 8  # blocks of a file that are reordered

Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # (n,) uint8, n > 0, may be changed in place


def _changed(first: int | None, last: int | None) -> Damage:
  """Random values in up to 256 random places of `content[first:last]`."""

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


def _reordered(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  blocks = np.array_split(content, BLOCKS)
  return np.concatenate([blocks[k] for k in rng.permutation(BLOCKS)])


DAMAGES: dict[str, Damage] = {
  'head': _changed(0, EDGE_BYTES),
  'middle': _changed(None, None),
  'tail': _changed(-EDGE_BYTES, None),
  'zeros': _zeroed,
  'cut short': _cut_short,
  'another order': _reordered,
}
