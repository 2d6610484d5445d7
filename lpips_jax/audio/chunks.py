"""Sound piece by piece, so that hours of it take no more memory than minutes."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np


class ChunkedSound:
  """An array that is made piece by piece, anew as often as it is wanted: samples of sound, or what is made of them.

  Slices are arrays. They are quick as long as their beginnings rise, for what comes before the last of them is
  forgotten; for an earlier one all pieces are made again.

  Args:
    make: begins anew, and returns pieces that follow one another.
    length: of all pieces together, which is 1 or more.
  """

  def __init__(self, make: Callable[[], Iterable[np.ndarray]], length: int) -> None:
    self._make, self._length = make, length
    self._coming: Iterator[np.ndarray] | None = None
    self._held: list[np.ndarray] = []
    self._first = self._end = 0  # of what is held

  def __len__(self) -> int:
    return self._length

  def __getitem__(self, part: slice) -> np.ndarray:
    first, last, _ = part.indices(self._length)
    if self._coming is None or first < self._first:
      self._coming, self._held, self._first, self._end = self.pieces(), [], 0, 0
    while self._end < max(last, 1):
      self._held.append(next(self._coming))
      self._end += len(self._held[-1])
      self._forget(min(first, self._end - 1))
    self._forget(min(first, self._end - 1))
    return self._held_from(first, max(first, last))

  def pieces(self) -> Iterator[np.ndarray]:
    """Yields all pieces from the first on."""
    return iter(self._make())

  def _forget(self, first: int) -> None:
    while self._first + len(self._held[0]) <= first:
      self._first += len(self._held.pop(0))

  def _held_from(self, first: int, last: int) -> np.ndarray:
    begin, parts = self._first, []
    for piece in self._held:
      parts.append(piece[max(first - begin, 0) : max(last - begin, 0)])
      begin += len(piece)
    return np.concatenate(parts)


Sound = np.ndarray | ChunkedSound  # (S,) samples at 16 kHz


def in_chunks(array: Sound, size: int) -> Iterator[np.ndarray]:
  """Yields an array, pieced or not, in pieces of this length; the last may be shorter."""
  if isinstance(array, ChunkedSound):
    yield from _of_size(array.pieces(), size)
  else:
    yield from (array[first : first + size] for first in range(0, len(array), size))


def whole(array: Sound) -> np.ndarray:
  """Returns all of an array, pieced or not, as one."""
  return np.concatenate(list(array.pieces())) if isinstance(array, ChunkedSound) else array


def mapped(change: Callable[[np.ndarray], np.ndarray], array: Sound) -> Sound:
  """Returns what becomes of an array, pieced or not, when each of its values is changed by itself."""
  if not isinstance(array, ChunkedSound):
    return change(array)
  return ChunkedSound(lambda: map(change, array.pieces()), len(array))


def shifted(sound: Sound, before: int, after: int = 0) -> ChunkedSound:
  """Returns sound after so many samples of silence, or without its first -`before` ones, and followed by silence."""

  def make() -> Iterator[np.ndarray]:
    yield from _silence(before)
    skipped = -min(before, 0)
    for piece in in_chunks(sound, SIZE):
      if skipped < len(piece):
        yield piece[skipped:]
      skipped -= min(skipped, len(piece))
    yield from _silence(after)

  return ChunkedSound(make, len(sound) + before + after)


SIZE = 1 << 16  # samples of a piece, where nothing else says


def _silence(samples: int) -> Iterator[np.ndarray]:
  for first in range(0, samples, SIZE):
    yield np.zeros(min(SIZE, samples - first), np.float32)


def _of_size(pieces: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
  waiting: list[np.ndarray] = []
  count = 0
  for piece in pieces:
    waiting.append(piece)
    count += len(piece)
    if count >= size:
      joined = np.concatenate(waiting)
      last = count // size * size
      yield from (joined[first : first + size] for first in range(0, last, size))
      waiting, count = [joined[last:]], count - last
  if count:
    yield np.concatenate(waiting)
