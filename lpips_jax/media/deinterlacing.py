"""Deinterlacing: whole frames out of frames whose odd and even rows were filmed at different times."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av

from lpips_jax.core.files import PathLike
from lpips_jax.media.containers import warn_once
from lpips_jax.media.ffmpeg import alike, filter_chain, time_of


def deinterlaced(frames: Iterable[av.VideoFrame], path: PathLike) -> Iterator[av.VideoFrame]:
  """Yields frames, the interlaced ones deinterlaced by FFmpeg's bwdif, and the others unchanged.

  A frame is made of itself, the one before and the one after, wherever reading began.

  Args:
    frames: decoded, in the order in which they are shown.
    path: of their file, for messages.
  """
  deinterlacer, last = None, None
  for frame in frames:
    if deinterlacer is not None and last is not None and not alike(frame, last):
      yield from deinterlacer.rest()
      deinterlacer, last = None, None
    if deinterlacer is None and frame.interlaced_frame:
      warn_once(f'{path} is interlaced: whole frames are made of its fields')
      deinterlacer = _Deinterlacer(frame, last if last is not None and alike(frame, last) else None)
    if deinterlacer is None:
      yield frame
    else:
      yield from deinterlacer.add(frame)
    last = frame
  if deinterlacer is not None:
    yield from deinterlacer.rest()


class _Deinterlacer:
  """A deinterlacing filter that gives each frame back, whole, one frame later.

  Args:
    first: the frame that will be added first.
    before: the frame before that one, if there was one; it is not given back.
  """

  def __init__(self, first: av.VideoFrame, before: av.VideoFrame | None) -> None:
    self._graph = filter_chain(first, ('bwdif', 'mode=send_frame:deint=interlaced'))
    self._time_base = first.time_base or Fraction(1, 1000)  # the graph's own guess
    self._unwanted = 0 if before is None else 1
    if before is not None:
      self._graph.vpush(before)

  def add(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
    self._graph.vpush(frame)
    return self._ready()

  def rest(self) -> Iterator[av.VideoFrame]:
    self._graph.push(None)
    return self._ready()

  def _ready(self) -> Iterator[av.VideoFrame]:
    while True:
      try:
        frame = self._graph.vpull()
      except (av.BlockingIOError, av.EOFError):
        return
      if self._unwanted:
        self._unwanted -= 1
        continue
      time = time_of(frame)
      if time is not None:
        frame.pts = round(time / self._time_base)
      frame.time_base = self._time_base
      yield frame
