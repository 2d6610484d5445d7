"""Helpers for PyAV: the samples and the times of FFmpeg's frames, and its filters for them."""

from fractions import Fraction

import av
import numpy as np


def filter_chain(like: av.VideoFrame, *filters: tuple[str, str]) -> av.filter.Graph:
  """Returns a graph of filters, one after the other.

  Args:
    like: a frame; all frames that go through the graph are `alike` it, and have its time base.
    filters: name and arguments of each, as FFmpeg writes them.
  """
  graph = av.filter.Graph()
  last = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=like.time_base)
  for name, arguments in (*filters, ('buffersink', None)):
    following = graph.add(name, arguments)
    last.link_to(following)
    last = following
  graph.configure()
  return graph


def filtered(frame: av.VideoFrame, *filters: tuple[str, str]) -> av.VideoFrame:
  """Returns a frame after a chain of filters, each of which gives one frame for each that it gets."""
  graph = filter_chain(frame, *filters)
  graph.vpush(frame)
  return graph.vpull()


def alike(frame: av.VideoFrame, other: av.VideoFrame) -> bool:
  """Returns whether two frames have the same size and format."""
  return (frame.width, frame.height, frame.format.name) == (other.width, other.height, other.format.name)


def time_of(piece: av.frame.Frame | av.Packet) -> Fraction | None:
  """Returns the time of a frame or a packet, in seconds of the file's clock; None if the file does not say."""
  return None if piece.pts is None or piece.time_base is None else piece.pts * piece.time_base


def plane_samples(frame: av.VideoFrame, k: int) -> np.ndarray:
  """Returns plane k of a planar frame, (h, w) uint8 or uint16: a view, so that a new frame can be filled."""
  plane = frame.planes[k]
  kind = np.dtype(np.uint8) if frame.format.components[k].bits == 8 else np.dtype(np.uint16)
  samples = np.frombuffer(memoryview(plane), kind)
  return samples.reshape(-1, plane.line_size // kind.itemsize)[: plane.height, : plane.width]


def bits_per_sample(frame: av.VideoFrame) -> int:
  """Returns the number of bits of a frame's samples, of the deepest component."""
  return max(component.bits for component in frame.format.components)
