"""PNG files and grids of crops for people."""

import cv2
import numpy as np

from lpips_jax.media.pictures import grid, to_uint8, write_png


def test_a_grid_shows_rows_of_either_kind_on_white():
  reds, halves = np.full((2, 4, 6, 3), [200, 0, 0], np.uint8), np.full((2, 4, 6, 3), 0.5)
  shown = grid([reds, halves], gap=2)
  assert shown.shape == (2 * (4 + 2) + 2, 2 * (6 + 2) + 2, 3) and shown.dtype == np.uint8
  assert (shown[2:6, 2:8] == [200, 0, 0]).all() and (shown[8:12, 10:16] == 128).all()
  assert (shown[:2] == 255).all() and (shown[6:8] == 255).all() and (shown[:, 8:10] == 255).all()


def test_floats_are_clipped_and_bytes_are_left_alone():
  np.testing.assert_array_equal(to_uint8(np.array([-1, 0, 0.5, 1, 2])), [0, 0, 128, 255, 255])
  made = np.arange(5, dtype=np.uint8)
  assert to_uint8(made) is made


def test_a_png_is_the_picture_in_a_new_directory(tmp_path):
  picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
  write_png(tmp_path / 'new' / 'picture.png', picture)
  np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'new' / 'picture.png'))[..., ::-1], picture)
