"""A generator whose mouths show what it heard, and videos, speech and boxes to dub with."""

import json
import wave
from fractions import Fraction

import numpy as np
from ml_collections import ConfigDict

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import write_video

BOX = [30, 20, 90, 84]
MOUTH = slice(60, 74), slice(50, 70)  # well inside the pasted part of the box


class Painter:
  """A generator that returns its reference, with a mouth that is black in silence and white in speech.

  Attributes:
    shapes: of the inputs of each call.
    faces: of the last call.
  """

  config = ConfigDict({'task': 'generator', 'model': {'image_size': 32}, 'data': {'lead': 2.0}})

  def __init__(self):
    self.shapes = []

  def __call__(self, faces, mels):
    faces, mels = np.asarray(faces), np.asarray(mels)
    self.shapes.append((faces.shape, mels.shape))
    self.faces = faces
    painted = faces[..., 3:].copy()
    spoken = mels[:, :, 8].max(1) > -3  # at the frame's own moment, with a lead of 2 frames
    painted[:, 20:27, 10:22] = spoken[:, None, None, None]
    return painted


def write_clip(path, n, rate=Fraction(25), width=120, height=96):
  """Writes n frames of one grey each, which grow brighter."""
  with write_video(path, VideoInfo(width, height, rate)) as write:
    for k in range(n):
      write(np.full((height, width, 3), 60 + 4 * k, np.uint8))
  return path


def write_speech(path, silent, loud):
  """Writes some seconds of silence, then some of noise."""
  samples = np.zeros(round(16000 * (silent + loud)))
  noise = samples[round(16000 * silent) :]
  noise[:] = 0.3 * np.random.default_rng(0).standard_normal(len(noise))
  with wave.open(str(path), 'wb') as file:
    file.setparams((1, 2, 16000, 0, 'NONE', ''))
    file.writeframes((np.clip(samples, -1, 1) * 32767).astype('<i2').tobytes())
  return path


def write_boxes(path, n, without=()):
  """Writes `BOX` for each of n frames, and null for those without a face."""
  path.write_text(json.dumps([None if k in without else BOX for k in range(n)]))
  return path


def patchwork(seed):
  """Returns a picture of 24 plain squares, (64, 96, 3) uint8, another one for each seed."""
  rng = np.random.default_rng(seed)
  coarse = rng.uniform(40, 200, (4, 6, 3))
  return np.repeat(np.repeat(coarse, 16, 0), 16, 1).astype(np.uint8)


def write_faces(path, speakers, n=20, side=256):
  """Writes a video of drawn people beside one another, whom the cascade finds."""
  scenes = [draw_clip(speaker, 'test', 0, 0, n / 25).scene(side) for speaker in speakers]
  with write_video(path, VideoInfo(side * len(speakers), side, Fraction(25))) as write:
    for frames in zip(*scenes, strict=True):
      write(np.concatenate(frames, axis=1))
  return path


def textured(k, height=96, width=120):
  """Returns a picture with fine slopes, (height, width, 3) uint8, another one for each k."""
  rows, columns = np.mgrid[:height, :width]
  return np.stack([(rows * 2 + k) % 200 + 30, (columns * 2) % 200 + 30, np.full_like(rows, 90)], -1).astype(np.uint8)
