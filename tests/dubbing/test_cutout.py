"""Faces cut out of frames: black bars stay out of them, and what is missing of a face is known."""

from fractions import Fraction

import numpy as np
import pytest
from painter import textured

from lpips_jax.dubbing.cutout import cut_out
from lpips_jax.faces.cropping import crop
from lpips_jax.media import ycbcr
from lpips_jax.media.playback import PlayedFrame
from lpips_jax.media.ycbcr import Colours


def test_black_bars_stay_black_and_are_not_taken_for_a_chin():
  planes = ycbcr.from_rgb(textured(0), Colours(1))
  picture = ycbcr.to_rgb(planes)
  planes.y[80:], planes.cb_cr[:, 40:] = 16, 128
  box = np.array([30.0, 40.0, 80.0, 90.0, 0.0])
  face = cut_out(PlayedFrame(0, Fraction(0), planes), box, 50)
  assert face.region.bottom == 80 and face.missing == pytest.approx(0.4, abs=0.05)
  np.testing.assert_array_equal(face.crop[:38], crop(picture, box, 50)[:38])
  assert face.crop[40:].min() > 20  # the last row of the picture, again and again
  whole = cut_out(PlayedFrame(0, Fraction(0), ycbcr.from_rgb(textured(0), Colours(1))), box, 50)
  assert whole.missing == 0


@pytest.mark.parametrize(
  ('box', 'missing'),
  [
    ((40, 26, 80, 66, 0), 0),
    ((40, 66, 80, 106, 0), 0.5),
    ((40, 66, 80, 106, np.pi), 0),  # it stands on its head
    ((90, 30, 130, 70, 0), 0.25),
    ((85, 30, 125, 70, -np.pi / 2), 0.25),  # its chin points to the right
  ],
)
def test_the_missing_share_of_a_face_is_known(box, missing):
  shown = PlayedFrame(0, Fraction(0), ycbcr.from_rgb(textured(0), Colours(1)))  # 120 x 96
  assert cut_out(shown, np.array(box, float), 32).missing == pytest.approx(missing, abs=0.05)
