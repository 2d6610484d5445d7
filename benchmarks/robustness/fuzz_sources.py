"""Undamaged files of every kind that `benchmarks.robustness.fuzz` damages."""

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks import random_weights
from benchmarks.tiny import TINY_OVERRIDES
from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax import pretrained
from lpips_jax.interop.export import export
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import write_video

SECONDS = 1
FRAME_PIXELS = 160
FACES = 'face.mp4', 'face.mkv', 'face.webm', 'face.mov', 'hevc.mp4', 'still.png', 'still.jpg'
SOUNDS = 'speech.wav', 'speech.m4a', 'speech.mp3', 'speech.flac', 'speech.ogg', 'face.mp4', 'face.webm'
JOBS = 'jobs.csv', 'spreadsheet.csv'  # the second in a spreadsheet's format: semicolons, UTF-16


def make_sources(directory: Path) -> Path:
  """Writes the files into a new directory, and returns it.

  These are `FACES`, `SOUNDS` as `audio-NAME`, `JOBS`, boxes.json, and a generator in three formats: `checkpoint`,
  `safetensors` and `stablehlo`.
  """
  directory.mkdir()
  clip = draw_clip(3, 'test', 0, 0, SECONDS)
  _write_sounds(directory, clip.audio)
  _write_faces(directory, list(clip.scene(FRAME_PIXELS)))
  for name in set(SOUNDS) & set(FACES):
    (directory / f'audio-{name}').write_bytes((directory / name).read_bytes())
  rows = [f'{face},audio-{SOUNDS[0]},out/{k}.mp4,closed\n' for k, face in enumerate(FACES[:2])]
  text = 'face,audio,output,silence\n' + ''.join(rows)
  (directory / JOBS[0]).write_text(text)
  (directory / JOBS[1]).write_text(text.replace(',', ';'), encoding='utf-16')
  box = [share * FRAME_PIXELS for share in (0.3, 0.3, 0.7, 0.8)]
  (directory / 'boxes.json').write_text(json.dumps([box] * 25 * SECONDS))
  overrides = {name: value for name, value in TINY_OVERRIDES['generator'].items() if name.startswith('model.')}
  pretrained.save(directory / 'checkpoint', random_weights.network('lrs2.py', overrides))
  for form in 'safetensors', 'stablehlo':
    export(directory / 'checkpoint', directory / form, form)
  return directory


def _write_faces(directory: Path, frames: list[np.ndarray]) -> None:
  for name in FACES:
    path = directory / name
    if path.suffix in ('.png', '.jpg'):
      cv2.imwrite(str(path), frames[0][..., ::-1])
      continue
    codec = 'hevc' if name.startswith('hevc') else None
    sound = directory / f'audio-{SOUNDS[0]}'
    with write_video(path, VideoInfo(FRAME_PIXELS, FRAME_PIXELS, Fraction(25)), sound, codec=codec) as write:
      for frame in frames:
        write(frame)


def _write_sounds(directory: Path, samples: np.ndarray) -> None:
  write_speech(directory / 'audio-speech.wav', samples)
  for name, codec in {'m4a': 'aac', 'mp3': 'libmp3lame', 'flac': 'flac', 'ogg': 'libopus'}.items():
    _encode(directory / f'audio-speech.{name}', codec, samples)


def _encode(path: Path, codec: str, samples: np.ndarray) -> None:
  with av.open(str(path), 'w') as container:
    rate = 48000 if codec == 'libopus' else 16000
    stream = container.add_stream(codec, rate=rate, layout='mono')
    assert isinstance(stream, av.AudioStream)
    frame = av.AudioFrame.from_ndarray(samples[None], format='s16', layout='mono')
    frame.sample_rate = 16000
    sample_format = stream.codec_context.format.name if stream.codec_context.format else 's16'
    for part in av.AudioResampler(format=sample_format, layout='mono', rate=rate).resample(frame):
      container.mux(stream.encode(part))
    container.mux(stream.encode(None))
