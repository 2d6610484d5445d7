"""Frames as codecs hold them: the colours are FFmpeg's, and what is not changed is not touched."""

from dataclasses import replace

import av
import numpy as np
import pytest

from lpips_jax.media import ycbcr
from lpips_jax.media.video_reader import EXACT_INTERPOLATION
from lpips_jax.media.ycbcr import Colours, Region


def smooth_picture(height=64, width=96, seed=0):
  """Colours that change slowly enough for 4:2:0 to hold them."""
  y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
  phases = np.random.default_rng(seed).uniform(0, 6, 3)
  waves = [0.5 + 0.4 * np.sin(3 * x + 4 * y + phase) for phase in phases]
  return np.rint(255 * np.stack(waves, -1)).astype(np.uint8)


@pytest.mark.parametrize('full_range', [False, True])
@pytest.mark.parametrize('matrix', [1, 2, 4, 6, 7, 9])
def test_colours_are_those_of_ffmpeg(matrix, full_range):
  planes = ycbcr.from_rgb(smooth_picture(), Colours(matrix, full_range=full_range))
  frame = av.VideoFrame.from_ndarray(planes.samples, format='yuv420p')
  frame.colorspace, frame.color_range = matrix, 2 if full_range else 1
  expected = frame.reformat(format='rgb24', interpolation=EXACT_INTERPOLATION).to_ndarray()
  found = ycbcr.to_rgb(planes)
  assert abs(found.astype(int) - expected)[2:-2, 2:-2].max() <= 4
  assert abs(found.astype(int) - expected)[2:-2, 2:-2].mean() < 1.2
  assert abs(found.mean((0, 1)) - expected.mean((0, 1))).max() < 0.6  # FFmpeg takes colour samples for centred


@pytest.mark.parametrize('colours', [Colours(1), Colours(6, full_range=True), Colours()])
def test_rgb_comes_back(colours):
  picture = smooth_picture()
  back = ycbcr.to_rgb(ycbcr.from_rgb(picture, colours)).astype(int)
  assert abs(back - picture)[2:-2, 2:-2].max() <= 3 and abs(back - picture).mean() < 1.2


def test_a_region_is_part_of_the_whole():
  planes = ycbcr.from_rgb(smooth_picture(), Colours(1))
  region = ycbcr.even_region(planes.region, 10.3, 7, 55.5, 40)
  assert region == Region(10, 6, 56, 40)
  part = ycbcr.to_rgb(planes, region).astype(int)
  assert abs(part - ycbcr.to_rgb(planes)[6:40, 10:56])[2:-2, 2:-2].max() == 0
  assert ycbcr.even_region(planes.region, -9, -9, 500, 500) == Region(0, 0, 96, 64)
  assert ycbcr.even_region(planes.region, 97, 0, 120, 20) is None


@pytest.mark.parametrize('colours', [Colours(1), Colours(1, full_range=True), Colours(9, depth=10)])
def test_black_bars_are_no_part_of_the_picture(colours):
  picture = smooth_picture()
  assert ycbcr.between_bars(ycbcr.from_rgb(picture, colours)) == Region(0, 0, 96, 64)
  for bars, rest in [
    ((slice(50, None),), Region(0, 0, 96, 50)),
    ((slice(0, 7),), Region(0, 8, 96, 64)),
    ((slice(None), slice(0, 10)), Region(10, 0, 96, 64)),
    ((slice(None), slice(91, None)), Region(0, 0, 90, 64)),
  ]:
    barred = picture.copy()
    barred[bars] = np.random.default_rng(0).integers(0, 4, barred[bars].shape)  # as it is after compression
    assert ycbcr.between_bars(ycbcr.from_rgb(barred, colours)) == rest


def test_darkness_is_no_bar():
  dark = np.random.default_rng(0).integers(0, 40, (64, 96, 3), np.uint8)
  for picture in (dark, np.zeros_like(dark), np.full_like(dark, 60)):
    assert ycbcr.between_bars(ycbcr.from_rgb(picture, Colours(1))) == Region(0, 0, 96, 64)


def test_a_change_is_added_where_it_is_and_nowhere_else():
  planes = ycbcr.from_rgb(smooth_picture(), Colours(1))
  before, rgb = planes.copy(), ycbcr.to_rgb(planes).astype(int)
  region = Region(20, 10, 60, 50)
  change = np.zeros((40, 40, 3), np.float32)
  change[10:30, 10:30] = [20, -10, 5]
  ycbcr.add(planes, region, change)
  after = ycbcr.to_rgb(planes).astype(int)
  assert abs(after - rgb - [20, -10, 5])[24:36, 34:46].max() <= 2
  untouched = np.ones(planes.y.shape, bool)
  untouched[20:40, 30:50] = False
  np.testing.assert_array_equal(planes.y[untouched], before.y[untouched])
  untouched = np.ones(planes.cb_cr.shape, bool)
  untouched[:, 10:20, 14:26] = False
  np.testing.assert_array_equal(planes.cb_cr[untouched], before.cb_cr[untouched])
  again = before.copy()
  ycbcr.add(again, region, np.zeros_like(change))
  np.testing.assert_array_equal(again.samples, before.samples)


def test_odd_sides_get_one_more_row_or_column():
  planes = ycbcr.from_rgb(smooth_picture(37, 51), Colours())
  assert planes.size == (38, 52)
  assert abs(ycbcr.to_rgb(planes)[36].astype(int) - ycbcr.to_rgb(planes)[37]).max() <= 6


def test_reduced_frames_are_reduced():
  planes = ycbcr.from_rgb(smooth_picture(), Colours(1))
  small = ycbcr.reduced_rgb(planes, 48)
  assert small.shape == (32, 48, 3)
  assert abs(small.mean((0, 1)) - smooth_picture().mean((0, 1))).max() < 1
  assert ycbcr.reduced_rgb(planes, 500).shape == (64, 96, 3)


def in_10_bits(planes):
  return ycbcr.Planes(planes.samples.astype(np.uint16) * 4, replace(planes.colours, depth=10))


@pytest.mark.parametrize('colours', [Colours(1), Colours(6, full_range=True)])
def test_samples_of_10_bits_mean_the_same(colours):
  planes = ycbcr.from_rgb(smooth_picture(), colours)
  fine = in_10_bits(planes)
  np.testing.assert_array_equal(ycbcr.to_rgb(fine), ycbcr.to_rgb(planes))
  assert abs(ycbcr.reduced_rgb(fine, 30).astype(int) - ycbcr.reduced_rgb(planes, 30)).max() <= 4  # a step of colour
  made = ycbcr.from_rgb(smooth_picture(), fine.colours)
  assert made.samples.dtype == np.uint16 and abs(made.samples.astype(int) - fine.samples).max() <= 2


def test_a_change_moves_samples_of_10_bits_as_far_and_leaves_others_alone():
  planes = in_10_bits(ycbcr.from_rgb(smooth_picture(), Colours(1)))
  planes.samples[::2] += 3  # which 8 bits would lose
  before, region = planes.copy(), ycbcr.Region(8, 8, 40, 32)
  ycbcr.add(planes, region, np.full((24, 32, 3), 10.0))
  moved = planes.samples.astype(int) - before.samples
  assert (moved[8:32, 8:40] == round(4 * 10 * 219 / 255)).all()
  moved[8:32, 8:40] = 0
  assert not moved.any()
  ycbcr.add(planes, region, np.full((24, 32, 3), 1000.0))
  assert planes.y.max() == 1023
