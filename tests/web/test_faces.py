"""The faces in one frame, from left to right, in pixels of the film."""

import base64

import cv2
import numpy as np
import pytest
from painter import write_clip, write_faces

from lpips_jax.core.errors import UserError
from lpips_jax.media.pictures import write_png
from lpips_jax.media.video_reader import read_frames
from lpips_jax.web.faces import SHOWN_SIDE, Finder
from lpips_jax.web.limits import Limits

FINDER = Finder('cascade')


def decoded(picture: str) -> np.ndarray:
  form, _, content = picture.partition(',')
  assert form == 'data:image/jpeg;base64'
  return cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_faces_are_listed_from_left_to_right_at_their_time(tmp_path):
  film = write_faces(tmp_path / 'film.mp4', (9, 10), n=10)
  seen = FINDER.look(film, 0.2, Limits())
  assert (seen.width, seen.height, seen.seconds, seen.time, seen.still) == (512, 256, 0.4, 0.2, False)
  assert len(seen.boxes) == 2
  (x, y, time), (x2, _, _) = seen.middles()
  assert 64 < x < 192 and 64 < y < 192 and 320 < x2 < 448 and time == 0.2
  shown = decoded(seen.picture)
  frame = list(read_frames(film))[5]
  assert shown.shape == frame.shape and abs(shown.astype(int) - frame).mean() < 3


@pytest.mark.parametrize(('seconds', 'level'), [(-1, 60), (0.12, 72), (99, 60 + 4 * 19)])
def test_the_frame_is_the_one_that_is_shown_then(tmp_path, seconds, level):
  seen = FINDER.look(write_clip(tmp_path / 'film.mp4', 20), seconds, Limits())
  assert not len(seen.boxes)
  assert abs(decoded(seen.picture).mean() - level) < 1.5


def test_a_still_has_no_length_and_is_shown_reduced(tmp_path):
  write_png(tmp_path / 'still.png', np.full((20, 2 * SHOWN_SIDE, 3), 90, np.uint8))
  seen = FINDER.look(tmp_path / 'still.png', 5.0, Limits())
  assert (seen.width, seen.seconds, seen.time, seen.still) == (2 * SHOWN_SIDE, 0.0, 0.0, True)
  assert decoded(seen.picture).shape == (10, SHOWN_SIDE, 3)


def test_too_large_a_picture_is_refused(tmp_path):
  film = write_clip(tmp_path / 'film.mp4', 2, width=120, height=96)
  with pytest.raises(UserError, match='120 x 96 pixels large'):
    FINDER.look(film, 0, Limits(max_pixels=120 * 96 - 1))
