"""Sound in chunks that are read when they are needed, so that hours of it take no more memory than minutes."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np


class ChunkedArray:
  """An array that is computed chunk by chunk whenever it is read: samples of sound, or rows computed from them.

  Slices are arrays. They are quick as long as their beginnings rise, because chunks before the last slice are dropped;
  an earlier slice computes all chunks again.

  Args:
    make: starts over, and returns chunks that follow one another.
    length: of all chunks together, 1 or more.
  """

  def __init__(self, make: Callable[[], Iterable[np.ndarray]], length: int) -> None:
    self._make, self._length = make, length
    self._coming: Iterator[np.ndarray] | None = None
    self._held: list[np.ndarray] = []
    self._first = self._end = 0  # of the chunks that are held

  def __len__(self) -> int:
    return self._length

  def __getitem__(self, part: slice) -> np.ndarray:
    first, last, _ = part.indices(self._length)
    if self._coming is None or first < self._first:
      self._coming, self._held, self._first, self._end = self.chunks(), [], 0, 0
    while self._end < max(last, 1):
      self._held.append(next(self._coming))
      self._end += len(self._held[-1])
      self._drop_before(min(first, self._end - 1))
    self._drop_before(min(first, self._end - 1))
    return self._held_from(first, max(first, last))

  def chunks(self) -> Iterator[np.ndarray]:
    """Yields all chunks from the first on."""
    return iter(self._make())

  def _drop_before(self, first: int) -> None:
    while self._first + len(self._held[0]) <= first:
      self._first += len(self._held.pop(0))

  def _held_from(self, first: int, last: int) -> np.ndarray:
    begin, parts = self._first, []
    for chunk in self._held:
      parts.append(chunk[max(first - begin, 0) : max(last - begin, 0)])
      begin += len(chunk)
    return np.concatenate(parts)


CHUNK_SIZE = 1 << 16  # samples of a chunk, unless the caller says otherwise
Sound = np.ndarray | ChunkedArray  # (S,) samples at 16 kHz


def in_chunks(array: Sound, size: int) -> Iterator[np.ndarray]:
  """Yields an array, chunked or not, in chunks of this length; the last one may be shorter."""
  if isinstance(array, ChunkedArray):
    yield from _resized(array.chunks(), size)
  else:
    yield from (array[first : first + size] for first in range(0, len(array), size))


def whole(array: Sound) -> np.ndarray:
  """Returns all of an array, chunked or not, as one NumPy array."""
  return np.concatenate(list(array.chunks())) if isinstance(array, ChunkedArray) else array


def mapped(change: Callable[[np.ndarray], np.ndarray], array: Sound) -> Sound:
  """Applies an elementwise function to an array; the result is chunked if the array is."""
  if not isinstance(array, ChunkedArray):
    return change(array)
  return ChunkedArray(lambda: map(change, array.chunks()), len(array))


def shifted(sound: Sound, before: int, after: int = 0) -> ChunkedArray:
  """Moves sound in time: pads it with silence, or cuts its beginning.

  Args:
    sound: (S,) samples.
    before: samples of silence that go before; if negative, the first -`before` samples are cut.
    after: samples of silence that follow.
  """

  def make() -> Iterator[np.ndarray]:
    yield from _silence(before)
    skipped = -min(before, 0)
    for chunk in in_chunks(sound, CHUNK_SIZE):
      if skipped < len(chunk):
        yield chunk[skipped:]
      skipped -= min(skipped, len(chunk))
    yield from _silence(after)

  return ChunkedArray(make, len(sound) + before + after)


def part(sound: Sound, first: int, end: int | None = None) -> ChunkedArray:
  """Returns samples first..end-1 of a sound, all from `first` on by default; at least one of them exists."""
  end = len(sound) if end is None else min(end, len(sound))

  def make() -> Iterator[np.ndarray]:
    left = end - first
    for chunk in shifted(sound, -first).chunks():
      yield chunk[:left]
      left -= len(chunk)
      if left <= 0:
        return

  return ChunkedArray(make, end - first)


def _silence(samples: int) -> Iterator[np.ndarray]:
  for first in range(0, samples, CHUNK_SIZE):
    yield np.zeros(min(CHUNK_SIZE, samples - first), np.float32)


def _resized(chunks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
  waiting: list[np.ndarray] = []
  count = 0
  for chunk in chunks:
    waiting.append(chunk)
    count += len(chunk)
    if count >= size:
      joined = np.concatenate(waiting)
      last = count // size * size
      yield from (joined[first : first + size] for first in range(0, last, size))
      waiting, count = [joined[last:]], count - last
  if count:
    yield np.concatenate(waiting)
