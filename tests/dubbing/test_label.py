"""The label: it is there, can be read, changes nothing else, and stays inside of black bars."""

from fractions import Fraction

import numpy as np
import pytest

from lpips_jax.dubbing.label import labelled, put_label
from lpips_jax.media import ycbcr
from lpips_jax.media.playback import PlayedFrame
from lpips_jax.media.ycbcr import Colours, Planes


def flat(height: int, width: int, level: int, colours: Colours = ycbcr.UNSPECIFIED_COLOURS) -> Planes:
  """Returns a frame of one brightness, in steps of 8 bits."""
  planes = ycbcr.empty(height, width, colours)
  planes.y[:], planes.cb_cr[:] = level << colours.depth - 8, 90 << colours.depth - 8
  return planes


def run(*frames: Planes) -> list[Planes]:
  return [shown.planes for shown in labelled(PlayedFrame(k, Fraction(k, 25), each) for k, each in enumerate(frames))]


def box(before: Planes, after: Planes) -> tuple[int, int, int, int]:
  """Returns left, top, right and bottom of what changed."""
  rows, columns = np.nonzero(before.cb_cr[0] != after.cb_cr[0])  # where black on black changes, too
  return 2 * columns.min(), 2 * rows.min(), 2 * columns.max() + 2, 2 * rows.max() + 2


@pytest.mark.parametrize('depth', [8, 10])
@pytest.mark.parametrize('level', [16, 60, 120, 235])
@pytest.mark.parametrize(('height', 'width'), [(1080, 1920), (1920, 1080), (321, 321), (90, 160)])
def test_the_letters_stand_out_in_the_top_right_corner(height, width, level, depth):
  before = flat(height, width, level, Colours(depth=depth))
  (after,) = run(before.copy())
  left, top, right, bottom = box(before, after)
  assert left > width / 2 and bottom < height / 3 and top >= 4 and right <= width - 4
  inside = after.y[top:bottom, left:right] >> depth - 8
  assert inside.max() > 205 and np.median(inside) < 115 and inside.min() >= 16
  capitals = np.flatnonzero((inside > 150).any(1))
  assert len(capitals) >= max(6, 0.02 * width)
  halves = slice(top // 2, bottom // 2), slice(left // 2, right // 2)
  untouched = after.y.copy()
  untouched[top:bottom, left:right] = level << depth - 8
  assert (untouched == before.y).all()
  assert (abs(after.cb_cr[(slice(None), *halves)].astype(int) - (128 << depth - 8)) < (25 << depth - 8)).all()


@pytest.mark.parametrize(('height', 'width'), [(2, 2), (3, 5), (16, 16), (37, 51), (48, 64), (8, 400), (400, 8)])
def test_tiny_frames_get_what_fits(height, width):
  (after,) = run(flat(height, width, 200))
  assert after.samples.shape == flat(height, width, 200).samples.shape and (after.y != 200).any()


def test_the_label_lies_within_black_bars():
  bars = flat(400, 600, 16)
  bars.y[60:340, 80:520] = 150
  (after,) = run(bars.copy())
  left, top, right, bottom = box(bars, after)
  assert 60 < top < bottom < 120 and 300 < left < right < 520


def test_the_label_stays_while_frames_are_dark():
  bars = flat(400, 600, 16)
  bars.y[60:340] = 150
  black = flat(400, 600, 16)
  after = run(*(each.copy() for each in (black, bars, black, bars)))
  tops = [np.flatnonzero((each.y > 220).any(1)).min() for each in after]
  assert tops[1] == tops[2] == tops[3] > 60


def test_a_picture_that_grows_takes_the_label_with_it():
  narrow = flat(200, 300, 16)
  narrow.y[60:140] = 150
  frames = run(*(narrow.copy() for _ in range(25)), flat(200, 300, 150))
  tops = [np.flatnonzero((each.y > 220).any(1)).min() for each in frames]
  assert tops[0] == tops[24] > 60 > tops[25]


@pytest.mark.parametrize(('transfer', 'share'), [(1, 1.0), (16, 0.58), (18, 0.75)])
def test_white_does_not_dazzle_on_hdr_screens(transfer, share):
  (after,) = run(flat(400, 600, 60, Colours(transfer=transfer, depth=10)))
  assert after.y.max() == pytest.approx(4 * (16 + 219 * share), abs=3)


def test_full_range_has_its_own_black_and_white():
  (after,) = run(flat(400, 600, 0, Colours(full_range=True)))
  assert after.y.min() == 0 and after.y.max() == 255


def test_a_label_is_the_same_every_time():
  first, second = (flat(300, 300, 80) for _ in range(2))
  put_label(first, first.region)
  put_label(second, second.region)
  assert (first.samples == second.samples).all()
