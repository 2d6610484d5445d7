"""Pictures that are transparent in places: these are shown white, and what is hidden there stays hidden."""

import functools
import os

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from lpips_jax.media.containers import say_once
from lpips_jax.media.ffmpeg import bits_of, samples

DECODERS = {'vp8': 'libvpx', 'vp9': 'libvpx-vp9'}  # FFmpeg's own pass over transparency


def decoder_of(stream: av.video.stream.VideoStream) -> av.CodecContext | None:
  """Returns what decodes a stream with its transparency, where that is not the decoder that FFmpeg chooses."""
  name = DECODERS.get(stream.codec_context.codec.canonical_name)
  if name is None or stream.metadata.get('alpha_mode') != '1':
    return None
  decoder = av.CodecContext.create(name, 'r')
  decoder.options, decoder.thread_count = stream.codec_context.options, os.cpu_count() or 1
  return decoder


def opaque(frame: av.VideoFrame, path: str | os.PathLike[str]) -> av.VideoFrame:
  """Lays a frame over white; the same frame if nothing of it is transparent."""
  name = frame.format.name
  if not _may_be_transparent(name):
    return frame
  seen = _yuva_over_white(frame) if name.startswith('yuva') else _rgba_over_white(frame)
  if seen is not frame:
    say_once(f'{path} is transparent in places: they are shown white, whatever is hidden there')
  return seen


@functools.cache
def _may_be_transparent(name: str) -> bool:
  form = av.VideoFormat(name)
  return form.has_palette or any(component.is_alpha for component in form.components)


def _yuva_over_white(frame: av.VideoFrame) -> av.VideoFrame:
  """Keeps the samples of what is opaque."""
  bits = bits_of(frame)
  most = (1 << bits) - 1
  alpha = samples(frame, 3).astype(np.float32) / most
  if alpha.min() == 1:
    return frame
  full_range = frame.color_range == ColorRange.JPEG
  whole = av.VideoFrame(frame.width, frame.height, frame.format.name.replace('yuva', 'yuv', 1))
  for k, white in enumerate((most if full_range else 235 << (bits - 8), 1 << (bits - 1), 1 << (bits - 1))):
    source, place = samples(frame, k), samples(whole, k)
    share = cv2.resize(alpha, source.shape[::-1], interpolation=cv2.INTER_AREA)
    place[:] = np.rint(white + (source.astype(np.float32) - white) * share)
  return _like(whole, frame)


def _rgba_over_white(frame: av.VideoFrame) -> av.VideoFrame:
  rgba = frame.reformat(format='rgba').to_ndarray()
  if rgba[..., 3].min() == 255:
    return frame
  share = rgba[..., 3:].astype(np.float32) / 255
  rgb = np.rint(255 + (rgba[..., :3].astype(np.float32) - 255) * share).astype(np.uint8)
  return _like(av.VideoFrame.from_ndarray(rgb, format='rgb24'), frame)


def _like(made: av.VideoFrame, frame: av.VideoFrame) -> av.VideoFrame:
  """What was made of a frame, with its time and the meaning of its colours."""
  made.pts, made.time_base, made.color_range = frame.pts, frame.time_base, frame.color_range
  made.colorspace, made.color_primaries, made.color_trc = frame.colorspace, frame.color_primaries, frame.color_trc
  return made
