"""Face boxes: read from files, written to them, and padded."""

import json

import numpy as np
import pytest
from painter import Painter

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import dub
from lpips_jax.dubbing.boxes import padded, read_boxes, write_boxes
from lpips_jax.faces import rotated_boxes
from lpips_jax.media.video_reader import VideoInfo


def test_boxes_are_read_and_written_with_and_without_a_roll(tmp_path):
  path = tmp_path / 'boxes.json'
  path.write_text('[[1, 2, 30, 40], null, [[1, 2, 30, 40, -90], [5, 6, 70, 80]], []]')
  frames = read_boxes(path)
  assert [[len(box) for box in boxes] for boxes in frames] == [[5], [], [5, 5], []]
  assert frames[0][0][4] == 0 and frames[2][0][4] == -np.pi / 2
  frames[2][0][4] += 4 * np.pi
  write_boxes(path, frames)
  assert json.loads(path.read_text()) == [[1, 2, 30, 40], None, [[1, 2, 30, 40, -90], [5, 6, 70, 80]], None]


@pytest.mark.parametrize(
  ('boxes', 'problem'),
  [
    ('[[1, 2, 3', 'not a JSON list'),
    ('{"a": 1}', 'not a JSON list'),
    ('[[1, 2, 3]]', 'not a JSON list'),
    ('[null, null]', 'at least one frame'),
    ('[]', 'not a JSON list'),
    ('[[10, 10, 10, 40]]', 'frame 0 is 0 x 30 pixels'),
    ('[null, [0, 0, Infinity, 40]]', 'not a JSON list'),
    ('[[10, NaN, 60, 60]]', 'not a JSON list'),
    ('[[[]]]', 'not a JSON list'),
    ('[[0, 0, 1e7, 1e7]]', 'give other boxes or pads'),
    ('[' * 100_000, 'is not a JSON list'),
  ],
)
def test_files_without_usable_boxes_are_refused(media, boxes, problem):
  media['boxes'].write_text(boxes)
  with pytest.raises(UserError, match=problem):
    dub(**media, checkpoint=Painter())


def test_pads_are_added_as_the_head_sees_them():
  info = VideoInfo(300, 300, 25)
  wider = padded(np.array([100.0, 100.0, 140.0, 160.0, np.pi / 2]), (0, 10, 0, 0), info, 0)
  np.testing.assert_allclose(
    rotated_boxes.bounds(wider, wider[:4]), [80, 110, 150, 150], atol=1e-9
  )  # its chin is to the left


def test_pads_that_swallow_the_box_are_refused(media):
  with pytest.raises(UserError, match='give other boxes or pads'):
    dub(**(media | {'pads': (-60, -60, 0, 0)}), checkpoint=Painter())
