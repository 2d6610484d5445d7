"""Whole frames of interlaced ones, whose odd and even rows were filmed at different times."""

import os
from collections.abc import Iterable, Iterator

import av

from lpips_jax.media.containers import say_once
from lpips_jax.media.ffmpeg import alike, chain


def deinterlaced(frames: Iterable[av.VideoFrame], path: str | os.PathLike[str]) -> Iterator[av.VideoFrame]:
  """Yields frames, the interlaced ones made whole by FFmpeg's bwdif, and others as they are.

  A frame is made of itself, the one before and the one after, wherever reading began.

  Args:
    frames: decoded, in the order of their showing.
    path: of their file, for messages.
  """
  deinterlacer, last = None, None
  for frame in frames:
    if deinterlacer is not None and not alike(frame, last):
      yield from deinterlacer.rest()
      deinterlacer, last = None, None
    if deinterlacer is None and frame.interlaced_frame:
      say_once(f'{path} is interlaced: whole frames are made of its fields')
      deinterlacer = _Deinterlacer(frame, last if last is not None and alike(frame, last) else None)
    if deinterlacer is None:
      yield frame
    else:
      yield from deinterlacer.add(frame)
    last = frame
  if deinterlacer is not None:
    yield from deinterlacer.rest()


class _Deinterlacer:
  """Takes frames from some interlaced one on, and gives them back, whole, one frame later.

  Args:
    first: what it will be given first.
    before: the frame before that one, if there was one; it does not come back.
  """

  def __init__(self, first: av.VideoFrame, before: av.VideoFrame | None) -> None:
    self._graph = chain(first, ('bwdif', 'mode=send_frame:deint=interlaced'))
    self._base = first.time_base
    self._unwanted = 0 if before is None else 1
    if before is not None:
      self._graph.push(before)

  def add(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
    self._graph.push(frame)
    return self._ready()

  def rest(self) -> Iterator[av.VideoFrame]:
    self._graph.push(None)
    return self._ready()

  def _ready(self) -> Iterator[av.VideoFrame]:
    while True:
      try:
        frame = self._graph.pull()
      except (av.BlockingIOError, av.EOFError):
        return
      if self._unwanted:
        self._unwanted -= 1
        continue
      if frame.pts is not None:
        frame.pts = round(frame.pts * frame.time_base / self._base)
      frame.time_base = self._base
      yield frame
