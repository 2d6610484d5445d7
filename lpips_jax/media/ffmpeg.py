"""What FFmpeg's frames are made of, and its filters for them."""

import av
import numpy as np


def chain(like: av.VideoFrame, *filters: tuple[str, str]) -> av.filter.Graph:
  """Returns a graph of filters, one after the other, for frames that are `alike` in size and format, and in time base.

  Args:
    like: a frame.
    filters: name and arguments of each, as FFmpeg writes them.
  """
  graph = av.filter.Graph()
  last = graph.add_buffer(width=like.width, height=like.height, format=like.format.name, time_base=like.time_base)
  for name, arguments in (*filters, ('buffersink', None)):
    following = graph.add(name, arguments)
    last.link_to(following)
    last = following
  graph.configure()
  return graph


def alike(frame: av.VideoFrame, other: av.VideoFrame) -> bool:
  """Whether two frames have the same size and format."""
  return (frame.width, frame.height, frame.format.name) == (other.width, other.height, other.format.name)


def samples(frame: av.VideoFrame, k: int) -> np.ndarray:
  """Returns a plane of a planar frame, (h, w) uint8 or uint16, a view."""
  plane, kind = frame.planes[k], np.dtype(np.uint8 if frame.format.components[k].bits == 8 else np.uint16)
  return np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)[: plane.height, : plane.width]


def bits_of(frame: av.VideoFrame) -> int:
  """Returns how many bits a sample of a frame has."""
  return max(component.bits for component in frame.format.components)
