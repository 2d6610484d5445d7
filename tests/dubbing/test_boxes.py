"""Files of face boxes, and pads around the boxes."""

import json

import numpy as np

from lpips_jax.dubbing.boxes import grown, read_boxes, write_boxes
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


def test_pads_are_added_as_the_head_sees_them():
  info = VideoInfo(300, 300, 25)
  wider = grown(np.array([100.0, 100.0, 140.0, 160.0, np.pi / 2]), (0, 10, 0, 0), info, 0)
  np.testing.assert_allclose(
    rotated_boxes.bounds(wider, wider[:4]), [80, 110, 150, 150], atol=1e-9
  )  # its chin is to the left
