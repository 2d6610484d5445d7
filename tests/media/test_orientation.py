"""How pictures lie: all eight ways, in stills and in films, and what is near to one of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pictures import corners, write_film
from PIL import Image, ImageOps
from videos import set_matrix

from lpips_jax.media.orientation import ALL, UPRIGHT, matrix_of, nearest, swapped, upright
from lpips_jax.media.playback import play
from lpips_jax.media.video_reader import probe, read_frames
from lpips_jax.media.ycbcr import to_rgb

# What each of EXIF's numbers asks for: Pillow's name of it, and a, b, c, d of a display matrix.
WAYS = {
  1: (None, (1, 0, 0, 1)),
  2: (Image.Transpose.FLIP_LEFT_RIGHT, (-1, 0, 0, 1)),
  3: (Image.Transpose.ROTATE_180, (-1, 0, 0, -1)),
  4: (Image.Transpose.FLIP_TOP_BOTTOM, (1, 0, 0, -1)),
  5: (Image.Transpose.TRANSPOSE, (0, 1, 1, 0)),
  6: (Image.Transpose.ROTATE_270, (0, 1, -1, 0)),
  7: (Image.Transpose.TRANSVERSE, (0, -1, -1, 0)),
  8: (Image.Transpose.ROTATE_90, (0, -1, 1, 0)),
}
orientations = some.sampled_from(ALL)


def assert_shows(path, expected):
  info = probe(path)
  assert (info.height, info.width) == expected.shape[:2]
  for shown in (next(read_frames(path)), to_rgb(next(play(path, info)).planes)):
    assert shown.shape == expected.shape and abs(shown.astype(int) - expected).mean() < 6


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tiff', '.webp'])
@pytest.mark.parametrize('number', WAYS)
def test_stills(tmp_path, suffix, number):
  exif = Image.Exif()
  exif[0x112] = number
  path = tmp_path / f'still{suffix}'
  Image.fromarray(corners()).save(path, exif=exif.tobytes(), quality=95)
  with Image.open(path) as image:
    assert_shows(path, np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize('number', WAYS)
def test_films(tmp_path, number):
  way, matrix = WAYS[number]
  path = set_matrix(write_film(tmp_path / 'film.mp4', [corners()] * 2), *matrix)
  image = Image.fromarray(corners())
  assert_shows(path, np.asarray(image if way is None else image.transpose(way)))


@pytest.mark.parametrize('degrees', [178.6, -179.7, 91.2, 269, 0.8])
def test_films_that_are_not_quite_square_to_the_frame(tmp_path, degrees):
  cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
  path = set_matrix(write_film(tmp_path / 'film.mp4', [corners()] * 2), cosine, sine, -sine, cosine)
  assert_shows(path, np.rot90(corners(), -round(degrees / 90)))


@given(orientations, some.integers(1, 7), some.integers(1, 7), some.data())
def test_each_pixel_goes_where_the_matrix_says(orientation, height, width, data):
  x, y = data.draw(some.integers(0, width - 1)), data.draw(some.integers(0, height - 1))
  picture = np.zeros((height, width, 3), np.uint8)
  picture[y, x] = 9
  shown = upright(picture, orientation)
  assert shown.shape[1::-1] == swapped(width, height, orientation)
  about = np.array([width, height]) / 2
  to = matrix_of(orientation) @ (np.array([x, y]) + 0.5 - about) + np.array(shown.shape[1::-1]) / 2 - 0.5
  assert [tuple(place[::-1]) for place in np.argwhere(shown[..., 0])] == [tuple(to)]


@given(orientations, some.integers(1, 7), some.integers(1, 7))
def test_turning_and_turning_back_changes_nothing(orientation, height, width):
  picture = np.arange(height * width, dtype=np.uint8).reshape(height, width)
  back = nearest(tuple(map(tuple, np.linalg.inv(matrix_of(orientation)).tolist())))
  np.testing.assert_array_equal(upright(upright(picture, orientation), back), picture)
  assert upright(picture, UPRIGHT) is picture


@given(orientations, some.floats(-40, 40), some.floats(0.01, 100))
def test_the_nearest_is_found(orientation, degrees, scale):
  cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
  matrix = scale * np.array([[cosine, -sine], [sine, cosine]]) @ matrix_of(orientation)
  assert nearest(tuple(map(tuple, matrix.tolist()))) == orientation


def test_a_matrix_that_says_nothing_leaves_pictures_alone():
  assert nearest(((0, 0), (0, 0))) == UPRIGHT
