"""Transparent pictures: hidden colours are never shown, and visible ones stay as they are."""

import itertools

import numpy as np
import pytest
from pictures import corners, write_film
from PIL import Image

from lpips_jax.media.playback import play, play_there_and_back
from lpips_jax.media.video_reader import probe, read_frames
from lpips_jax.media.ycbcr import to_rgb

FILMS = [
  ('.webm', 'yuva420p', 'libvpx', {'crf': '4', 'b': '4M', 'auto-alt-ref': '0'}),
  ('.webm', 'yuva420p', 'libvpx-vp9', {'crf': '4', 'b': '0', 'auto-alt-ref': '0'}),
  ('.mkv', 'yuva420p', 'libvpx-vp9', {'crf': '4', 'b': '0', 'auto-alt-ref': '0'}),
  ('.mov', 'argb', 'qtrle', {}),
  ('.mov', 'yuva444p10le', 'prores_ks', {'profile': '4444', 'alpha_bits': '16'}),
  ('.mov', 'rgba', 'png', {}),
]


def warned(warnings):
  return sum('transparent' in text for text in warnings)


def with_hole(alpha=0, height=48, width=64):
  """The picture of corners, whose right half is hidden."""
  picture = np.dstack([corners(height, width), np.full((height, width), 255, np.uint8)])
  picture[:, width // 2 :, 3] = alpha
  return picture


def assert_right_half_is(path, level):
  info = probe(path)
  for seen in (next(read_frames(path)), to_rgb(next(play(path, info)).planes)):
    hidden, left = seen[4:-4, 36:-4].astype(int), seen[4:20, 4:28].astype(int)
    assert abs(hidden[:16] - level[0]).max() < 9 and abs(hidden[24:] - level[1]).max() < 9
    assert abs(left - 230).max() < 9


@pytest.mark.parametrize('suffix', ['.png', '.webp', '.tiff', '.gif'])
def test_stills(tmp_path, suffix, warnings):
  Image.fromarray(with_hole()).save(tmp_path / f'still{suffix}', lossless=True)
  assert_right_half_is(tmp_path / f'still{suffix}', (255, 255))
  assert warned(warnings) == 1


def test_stills_with_a_palette_or_grey(tmp_path, warnings):
  indices = np.zeros((48, 64), np.uint8)
  indices[:, 32:] = 1
  image = Image.fromarray(indices, 'P')
  image.putpalette([230, 230, 230, 20, 20, 20])
  image.save(tmp_path / 'palette.png', transparency=1)
  assert_right_half_is(tmp_path / 'palette.png', (255, 255))
  Image.fromarray(with_hole()).convert('LA').save(tmp_path / 'grey.png')
  assert_right_half_is(tmp_path / 'grey.png', (255, 255))
  assert warned(warnings) == 2


def test_what_is_half_hidden_is_half_seen(tmp_path):
  Image.fromarray(with_hole(alpha=128)).save(tmp_path / 'still.png')
  assert_right_half_is(tmp_path / 'still.png', (142, 191))


def test_a_still_that_also_lies_on_its_side(tmp_path):
  exif = Image.Exif()
  exif[0x112] = 6
  Image.fromarray(with_hole()).save(tmp_path / 'still.png', exif=exif.tobytes())
  seen = next(read_frames(tmp_path / 'still.png'))
  assert seen.shape == (64, 48, 3) and seen[34:].min() > 250 and abs(seen[2:30, 26:46].astype(int) - 230).max() < 3


@pytest.mark.parametrize(('suffix', 'form', 'codec', 'options'), FILMS)
def test_films(tmp_path, suffix, form, codec, options, warnings):
  path = write_film(tmp_path / f'film{suffix}', [with_hole()] * 4, form, codec, options)
  assert_right_half_is(path, (255, 255))
  info = probe(path)
  forward = [shown.planes.samples for shown in play(path, info)]
  for shown in itertools.islice(play_there_and_back(path, info), 9):
    np.testing.assert_array_equal(shown.planes.samples, forward[shown.index])
  assert len(forward) == len(list(read_frames(path))) == 4 and warned(warnings) == 1


@pytest.mark.parametrize(('suffix', 'form', 'codec', 'options'), FILMS[1:])
def test_films_that_hide_nothing(tmp_path, suffix, form, codec, options, warnings):
  path = write_film(tmp_path / f'film{suffix}', [with_hole(alpha=255)] * 2, form, codec, options)
  assert_right_half_is(path, (30, 128))
  assert warned(warnings) == 0
