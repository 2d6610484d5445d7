"""The pictures of a dub: codecs, pixel formats, colour ranges and rotation; all but the mouth stays as it was."""

import os
from fractions import Fraction

import av
import numpy as np
import pytest
from absl import logging
from painter import MOUTH, Painter, textured, write_boxes, write_speech

from lpips_jax.dubbing import dub
from lpips_jax.media.playback import play
from lpips_jax.media.video_reader import probe, read_frames
from lpips_jax.media.video_writer import CODECS
from lpips_jax.media.ycbcr import Colours

SOFTWARE = [codec for codec in CODECS if not codec.endswith('nvenc')]


def write_source(path, form, n=8, size=(96, 120), edit=lambda stream: None, codec='libx264', options=None):
  """Writes a clip in a pixel format."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=25, options=options or {'crf': '4'})
    (stream.height, stream.width), stream.pix_fmt = size, form
    edit(stream)
    for k in range(n):
      frame = av.VideoFrame.from_ndarray(textured(k, *size), format='rgb24').reformat(
        format=form, dst_color_range=stream.codec_context.color_range
      )
      frame.pts, frame.time_base = k, Fraction(1, 25)
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path


def dubbed(tmp_path, face, suffix='.mp4', **options):
  boxes, speech = write_boxes(tmp_path / 'boxes.json', 8), write_speech(tmp_path / 'speech.wav', 0, 0.32)
  output = tmp_path / f'out{suffix}'
  dub(face, speech, output, Painter(), boxes=boxes, length='video', **options)
  return output


def quality(a, b):
  """Returns the PSNR in dB of the rows above any mouth."""
  error = a[:40].astype(float) - b[:40]
  return 10 * np.log10(255**2 / np.square(error).mean())


@pytest.mark.parametrize('codec', SOFTWARE)
@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_every_codec_keeps_the_picture(tmp_path, codec, suffix):
  face = write_source(tmp_path / 'face.mp4', 'yuv420p')
  output = dubbed(tmp_path, face, suffix, codec=codec)
  with av.open(str(output)) as container:
    assert container.streams.video[0].codec_context.codec.canonical_name == codec
  before, after = list(read_frames(face)), list(read_frames(output))
  assert len(after) == 8 and min(quality(a, b) for a, b in zip(before, after, strict=True)) > 32
  assert after[4][MOUTH].mean() > 180


def test_encoders_leave_scheduling_alone(tmp_path):
  before = os.sched_getscheduler(0)
  dubbed(tmp_path, write_source(tmp_path / 'face.mp4', 'yuv420p'), codec='av1')
  assert os.sched_getscheduler(0) == before


def test_a_higher_crf_gives_a_smaller_file(tmp_path):
  face = write_source(tmp_path / 'face.mp4', 'yuv420p')
  sizes = [dubbed(tmp_path, face, crf=crf).stat().st_size for crf in (4, 40)]
  assert sizes[0] > 1.3 * sizes[1]


@pytest.mark.parametrize(
  ('form', 'suffix', 'codec'),
  [
    ('yuv420p', '.mp4', 'libx264'),
    ('yuvj420p', '.mp4', 'libx264'),
    ('yuv422p', '.mkv', 'libx264'),
    ('yuv444p', '.mkv', 'libx264'),
    ('yuv420p10le', '.mkv', 'libx265'),
    ('gray', '.mkv', 'libx264'),
    ('rgb24', '.mov', 'png'),
    ('rgba', '.mov', 'png'),
  ],
)
def test_every_pixel_format_keeps_its_colours(tmp_path, form, suffix, codec):
  face = write_source(tmp_path / f'face{suffix}', form, codec=codec, options={})
  output = dubbed(tmp_path, face, crf=2)
  before, after = list(read_frames(face)), list(read_frames(output))
  assert min(quality(a, b) for a, b in zip(before, after, strict=True)) > (28 if form in ('rgb24', 'rgba') else 34)
  assert abs(before[0][:40].mean((0, 1)) - after[0][:40].mean((0, 1))).max() < 2
  assert after[4][MOUTH].mean() > 180
  assert probe(output).colours == probe(face).colours
  assert probe(output).colours.full_range == (form == 'yuvj420p')


def test_the_range_of_colours_is_kept(tmp_path):
  face = write_source(tmp_path / 'face.mp4', 'yuvj420p')
  assert probe(face).colours.full_range
  assert probe(dubbed(tmp_path, face)).colours == probe(face).colours


def test_samples_that_are_not_the_mouth_reach_the_encoder_as_they_were(tmp_path):
  """Encoded without loss, they are identical."""
  face = write_source(tmp_path / 'face.mp4', 'yuv420p')
  output = dubbed(tmp_path, face, crf=0)
  info = probe(face)
  for before, after in zip(play(face, info), play(output, info), strict=True):
    same_y = before.planes.y == after.planes.y
    assert same_y[:48].all() and same_y[:, :28].all() and same_y[:, 92:].all() and not same_y[MOUTH].any()
    same_colour = (before.planes.cb_cr == after.planes.cb_cr).all(0)
    assert same_colour[:23].all() and same_colour[:, :13].all() and same_colour[:, 47:].all()


def write_ramp(path, form='yuv420p10le', codec='libx265', options=None):
  """Writes a film of 10 bits whose brightness rises from left to right, in steps finer than those of 8 bits."""
  samples = np.full((144, 120), 512, np.uint16)
  samples[:96] = 300 + np.arange(120)
  frames = []
  for _ in range(8):
    frame = av.VideoFrame.from_ndarray(samples, format='yuv420p10le').reformat(format=form)
    frame.color_primaries, frame.color_trc, frame.colorspace = 9, 16, 9  # HDR, as phones film it
    frames.append(frame)
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=25, options=options or {'x265-params': 'lossless=1:log-level=error'})
    stream.width, stream.height, stream.pix_fmt = 120, 96, form
    context = stream.codec_context
    context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
    for k, frame in enumerate(frames):
      frame.pts, frame.time_base = k, Fraction(1, 25)
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  return path


@pytest.fixture
def warnings(monkeypatch):
  logged = []
  monkeypatch.setattr(logging, 'warning', lambda text, *values: logged.append(text % values))
  return logged


@pytest.mark.parametrize(
  ('codec', 'suffix', 'written'), [(None, '.mp4', 'hevc'), ('h264', '.mkv', 'h264'), ('av1', '.mp4', 'av1')]
)
def test_films_of_10_bits_keep_them(tmp_path, codec, suffix, written, warnings):
  face = write_ramp(tmp_path / 'face.mp4')
  assert probe(face).colours == Colours(9, 9, 16, depth=10)
  output = dubbed(tmp_path, face, suffix, codec=codec, crf=0 if codec != 'av1' else 1)
  assert probe(output).colours == probe(face).colours
  with av.open(str(output)) as container:
    stream = container.streams.video[0]
    assert (stream.codec_context.codec.canonical_name, stream.pix_fmt) == (written, 'yuv420p10le')
  before, after = (list(play(path, probe(path))) for path in (face, output))
  off = abs(before[4].planes.y.astype(int) - after[4].planes.y)[:40]
  assert off.mean() < 0.6 and len(np.unique(after[4].planes.y[:40])) > 100
  assert list(read_frames(output))[4][MOUTH].mean() > 150
  assert warnings == []


def test_a_codec_with_8_bits_causes_a_warning(tmp_path, warnings):
  output = dubbed(tmp_path, write_ramp(tmp_path / 'face.mp4'), '.webm')
  assert probe(output).colours.depth == 8 and list(read_frames(output))[4][MOUTH].mean() > 150
  assert len(warnings) == 1 and 'vp9 is written with 8 bits' in warnings[0]


@pytest.mark.parametrize(
  ('form', 'what'), [('yuv422p10le', 'half the resolution'), ('yuv420p12le', '12 bits a sample')]
)
def test_a_loss_of_quality_causes_a_warning(tmp_path, form, what, warnings):
  face = write_ramp(tmp_path / 'face.mp4', form)
  output = dubbed(tmp_path, face)
  assert probe(output).colours.depth == 10
  assert len(warnings) == 1 and what in warnings[0]


def test_pixels_that_are_not_square_keep_their_aspect(tmp_path):
  def wide(stream):
    stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

  face = write_source(tmp_path / 'face.mp4', 'yuv420p', edit=wide)
  assert probe(face).aspect == Fraction(4, 3)
  assert probe(dubbed(tmp_path, face)).aspect == Fraction(4, 3)


def test_a_picture_on_its_side_is_dubbed_upright(tmp_path):
  """Phones write such files. Boxes, mouth and output are those of the picture as it is shown."""
  face = write_source(tmp_path / 'face.mp4', 'yuv420p', size=(120, 96))
  content = bytearray(face.read_bytes())
  matrix, one = content.index(b'tkhd') + 44, 0x10000
  turned = [0, one, 0, -one, 0, 0, 120 * one, 0, 1 << 30]
  content[matrix : matrix + 36] = b''.join(x.to_bytes(4, 'big', signed=True) for x in turned)
  face.write_bytes(content)
  output = dubbed(tmp_path, face)
  info = probe(output)
  assert (info.width, info.height) == (120, 96)
  before, after = next(read_frames(face)), list(read_frames(output))
  assert before.shape == (96, 120, 3) and quality(before, after[0]) > 32
  assert after[4][MOUTH].mean() > 180


@pytest.mark.parametrize('size', [(95, 120), (96, 119), (95, 119)])
def test_odd_sides_get_one_more_row_or_column(tmp_path, size):
  face = write_source(tmp_path / 'face.mov', 'rgb24', size=size, codec='png', options={})
  output = dubbed(tmp_path, face)
  before, after = next(read_frames(face)), next(read_frames(output))
  assert after.shape == (96, 120, 3)
  assert abs(after[: size[0], : size[1]].astype(float) - before)[:40].mean() < 6
