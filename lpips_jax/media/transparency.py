"""Transparency: pictures are laid over white, so that hidden colours stay hidden."""

import functools
import os

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from lpips_jax.core.files import PathLike
from lpips_jax.media.containers import warn_once
from lpips_jax.media.ffmpeg import bits_per_sample, plane_samples

ALPHA_DECODERS = {'vp8': 'libvpx', 'vp9': 'libvpx-vp9'}  # FFmpeg's own decoders ignore transparency


def alpha_decoder(stream: av.video.stream.VideoStream) -> av.VideoCodecContext | None:
  """Returns a decoder that keeps a stream's transparency, or None where the one that FFmpeg chooses does."""
  name = ALPHA_DECODERS.get(stream.codec_context.codec.canonical_name)
  if name is None or stream.metadata.get('alpha_mode') != '1':
    return None
  decoder = av.Codec(name, 'r').create('video')
  decoder.options, decoder.thread_count = stream.codec_context.options, os.cpu_count() or 1
  return decoder


def opaque(frame: av.VideoFrame, path: PathLike) -> av.VideoFrame:
  """Lays a frame over white; returns the same frame if nothing of it is transparent."""
  name = frame.format.name
  if not _may_be_transparent(name):
    return frame
  laid = _yuva_over_white(frame) if name.startswith('yuva') else _rgba_over_white(frame)
  if laid is not frame:
    warn_once(f'{path} is transparent in places: they are shown white, whatever is hidden there')
  return laid


@functools.cache
def _may_be_transparent(name: str) -> bool:
  form = av.VideoFormat(name)
  return form.has_palette or any(component.is_alpha for component in form.components)


def _yuva_over_white(frame: av.VideoFrame) -> av.VideoFrame:
  """Lays a frame over white; samples of opaque pixels stay exactly as they are."""
  bits = bits_per_sample(frame)
  most = (1 << bits) - 1
  alpha = plane_samples(frame, 3).astype(np.float32) / most
  if alpha.min() == 1:
    return frame
  full_range = frame.color_range == ColorRange.JPEG
  whole = av.VideoFrame(frame.width, frame.height, frame.format.name.replace('yuva', 'yuv', 1))
  for k, white in enumerate((most if full_range else 235 << (bits - 8), 1 << (bits - 1), 1 << (bits - 1))):
    source, place = plane_samples(frame, k), plane_samples(whole, k)
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
  """Gives a new frame the time and the colour tags of the one that it was made from."""
  made.pts, made.time_base, made.color_range = frame.pts, frame.time_base, frame.color_range
  made.colorspace, made.color_primaries, made.color_trc = frame.colorspace, frame.color_primaries, frame.color_trc
  return made
