"""Inputs that a dub refuses: videos without a face, and what is larger or longer than it may be."""

import pytest
from painter import Painter

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub


def test_a_video_without_a_face_is_bad_input(media, tmp_path):
  del media['boxes']
  before = sorted(tmp_path.iterdir())
  with pytest.raises(UserError, match='no face'):
    dub(**media, checkpoint=Painter(), detector='cascade')
  assert sorted(tmp_path.iterdir()) == before


def test_large_pictures_and_long_speech_are_refused(media):
  with pytest.raises(UserError, match='120 x 96 pixels large: reduce it, or raise max_pixels'):
    dub(**media, checkpoint=Painter(), max_pixels=10_000)
  with pytest.raises(UserError, match=r'longer than 0.02 minutes: cut it, or raise max_minutes'):
    dub(**media, checkpoint=Painter(), max_minutes=0.02)
  dub(**media, checkpoint=Painter(), max_pixels=120 * 96, max_minutes=1.6 / 60)
