"""A scan of a video: times, cuts and faces, without looking at every frame."""

from fractions import Fraction

import numpy as np
from painter import patchwork

from lpips_jax.faces.scan import scan_video
from lpips_jax.faces.tracks import track_faces
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import write_video

SIZE = 96, 64
NOBODY = np.zeros((0, 5), np.float32)


def write(path, frames, rate=Fraction(25)):
  with write_video(path, VideoInfo(*SIZE, rate)) as put:
    for frame in frames:
      put(frame)
  return path


class Marked:
  """Finds the white squares of a picture, and counts how often it was asked."""

  def __init__(self):
    self.looks = 0

  def __call__(self, frame):
    self.looks += 1
    white = frame.min(-1) > 240
    if not white.any():
      return NOBODY
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    return np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1, 1.0]], np.float32)


def marked(left, background):
  frame = patchwork(background) // 2
  if left is not None:
    frame[16:40, left : left + 24] = 255
  return frame


def test_a_steady_face_is_looked_for_now_and_then(tmp_path):
  frames = [marked(20 + k // 4, 0) for k in range(30)]
  find = Marked()
  seen = scan_video(write(tmp_path / 'v.mp4', frames), find)
  assert len(seen.faces) == len(seen.times) == 30
  assert 10 <= find.looks <= 12  # every third, and the last ones
  assert seen.faces[-1] is not None
  [person] = track_faces(seen.faces, seen.cuts, seen.info.rate, SIZE)
  assert person.first == 0 and len(person.boxes) == 30
  np.testing.assert_allclose(person.boxes[4:-4, 0], [20 + k // 4 for k in range(4, 26)], atol=1.2)


def test_comings_goings_and_cuts_are_looked_at_closely(tmp_path):
  frames = [marked(20, 0)] * 11 + [marked(60, 1)] * 13 + [marked(None, 1)] * 9 + [marked(30, 2)] * 10
  seen = scan_video(write(tmp_path / 'v.mp4', frames), Marked())
  assert seen.cuts == [11, 24, 33]  # somebody who is gone from one frame to the next was cut out
  people = track_faces(seen.faces, seen.cuts, seen.info.rate, SIZE)
  assert [(person.first, len(person.boxes)) for person in people] == [(0, 11), (11, 13), (33, 10)]
