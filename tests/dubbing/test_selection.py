"""Selection: who is followed, across which gaps, through cuts, and how smoothly."""

import itertools
from fractions import Fraction

import cv2
import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.corpora.talking_faces.face import SCENE_SIZE
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import selection
from lpips_jax.dubbing.selection import FollowOne, everybody, follow, person_at
from lpips_jax.faces import detect
from lpips_jax.faces.boxes import PLACE_SLACK, overlap
from lpips_jax.faces.detect import make_detector
from lpips_jax.media import ycbcr
from lpips_jax.media.playback import PlayedFrame
from lpips_jax.media.video_reader import VideoInfo

FRAME = (640, 480)
INFO = VideoInfo(*FRAME, Fraction(25))
WIDTH, HEIGHT = 480, 256  # of composed scenes
SHOT = 24  # frames


def face(x, y, side=100.0):
  return [x - side / 2, y - side / 2, x + side / 2, y + side / 2, 0.9]


def video(n, cuts=()):
  """Yields frames of coarse noise, another one after each cut; their number is in the first samples."""
  noise = np.random.default_rng(0).integers(0, 256, (len(cuts) + 1, 15, 20), np.uint8).repeat(32, 1).repeat(32, 2)
  for k in range(n):
    planes = ycbcr.empty(480, 640, ycbcr.Colours())
    planes.y[:] = noise[sum(k >= cut for cut in cuts)]
    planes.cb_cr[:] = 128
    planes.samples[0, :2] = k // 256, k % 256
    yield PlayedFrame(k, Fraction(k, 25), planes)


def detector(monkeypatch, frames):
  """Returns a detector that finds the faces in `frames`; every frame is looked at."""
  monkeypatch.setattr(selection, 'DETECTION_STRIDE', Fraction(1, 25))
  monkeypatch.setattr(detect, 'in_planes', lambda find, planes: find(planes.samples))
  return lambda samples: np.array(frames[int(samples[0, 0]) * 256 + int(samples[0, 1])], np.float64).reshape(-1, 5)


def boxes_of(monkeypatch, frames, choose=None, cuts=()):
  """Returns the boxes of the dubbed face, (T, 4), NaN where nobody is dubbed; a list of lists for everybody."""
  find = detector(monkeypatch, frames)
  found = [boxes for _, boxes in follow(video(len(frames), cuts), find, INFO, choose or FollowOne())]
  if choose is everybody:
    return found
  return np.array([boxes[0][:4] if boxes else [np.nan] * 4 for boxes in found]).reshape(-1, 4)


def centres(boxes):
  return (boxes[:, :2] + boxes[:, 2:]) / 2


def test_a_steady_movement_stays_one(monkeypatch):
  frames = [[face(100 + 3 * k, 200 - k)] for k in range(90)]
  boxes = boxes_of(monkeypatch, frames)
  assert abs(boxes - [f[0][:4] for f in frames]).max() <= 100 * PLACE_SLACK + 1e-9
  np.testing.assert_allclose(np.diff(centres(boxes)[3:], axis=0), [[3, -1]] * 86, atol=1e-9)


def test_a_face_at_rest_is_not_shaken_by_noise(monkeypatch):
  rng = np.random.default_rng(0)
  frames = [[face(*(np.array([320, 240]) + rng.normal(0, 1, 2)), 100 + rng.normal(0, 1))] for _ in range(200)]
  boxes = boxes_of(monkeypatch, frames)
  assert centres(boxes).std(axis=0).max() < 0.1 and abs(centres(boxes) - [320, 240]).max() < 1.5


def test_a_moving_face_is_followed_within_the_slack(monkeypatch):
  rng = np.random.default_rng(0)
  truth = np.array([[320 + 40 * np.sin(k / 12), 240] for k in range(200)])
  boxes = centres(boxes_of(monkeypatch, [[face(*(place + rng.normal(0, 1, 2)))] for place in truth]))
  assert abs(boxes - truth).max() < 100 * PLACE_SLACK + 2
  lags = [np.square(boxes[10:-10, 0] - truth[10 + d : 190 + d, 0]).mean() for d in (-2, -1, 0, 1)]
  assert np.argmin(lags) in (1, 2)


def test_short_gaps_are_bridged_and_long_ones_are_not(monkeypatch):
  frames = [[face(100 + 2 * k, 200)] for k in range(90)]
  for k in (*range(20, 32), *range(50, 63)):  # 12 frames are less than half a second, 13 are more
    frames[k] = []
  boxes = boxes_of(monkeypatch, frames)
  np.testing.assert_array_equal(np.flatnonzero(np.isnan(boxes).any(1)), np.arange(50, 63))
  np.testing.assert_allclose(centres(boxes)[26], [152, 200], atol=100 * PLACE_SLACK + 1e-6)


def test_the_large_central_face_is_followed_past_a_larger_one_that_comes_later(monkeypatch):
  small, main = face(60, 60, 60), face(330, 240, 120)
  frames = [[small, main]] * 10 + [[face(500, 240, 200), small, main]] * 40
  np.testing.assert_allclose(centres(boxes_of(monkeypatch, frames)), np.tile([330, 240], (50, 1)))


def test_a_face_that_is_found_again_within_a_second_is_the_same_person(monkeypatch):
  both, other, back = [face(200, 240, 120), face(450, 240, 100)], [face(450, 240, 100)], [face(210, 240, 120)]
  boxes = boxes_of(monkeypatch, [both] * 20 + [other] * 20 + [back] * 20)
  assert np.isnan(boxes[20:40]).all()
  assert (centres(boxes[40:])[:, 0] < 220).all()


def test_after_a_second_somebody_else_is_followed(monkeypatch):
  both, other = [face(200, 240, 120), face(450, 240, 100)], [face(450, 240, 100)]
  boxes = boxes_of(monkeypatch, [both] * 20 + [other] * 40)
  np.testing.assert_allclose(centres(boxes)[:, 0], [200] * 20 + [450] * 40)


def test_nobody_is_followed_through_a_cut(monkeypatch):
  """The face of the next shot is where the last one was: smoothing across the cut would show."""
  frames = [[face(300, 240, 100)]] * 40 + [[face(330, 250, 140)]] * 40
  boxes = boxes_of(monkeypatch, frames, cuts=[40])
  np.testing.assert_allclose(boxes, [f[0][:4] for f in frames], atol=1e-9)
  smoothed = boxes_of(monkeypatch, frames)
  assert abs(smoothed[38:42] - boxes[38:42]).max() > 1


def test_a_face_that_flashes_up_for_two_frames_is_not_dubbed(monkeypatch):
  assert np.isnan(boxes_of(monkeypatch, [[]] * 20 + [[face(100, 100)]] * 2 + [[]] * 60)).all()


def test_one_frame_is_enough_and_no_frame_has_no_boxes(monkeypatch):
  np.testing.assert_allclose(boxes_of(monkeypatch, [[face(100, 100)]]), [[50, 50, 150, 150]])
  assert np.isnan(boxes_of(monkeypatch, [[]])).all()
  assert boxes_of(monkeypatch, []).shape == (0, 4)


def test_faces_are_chosen_from_the_left_or_all_together(monkeypatch):
  frames = [[face(450, 240, 100), face(200, 240, 60)]] * 30
  np.testing.assert_allclose(centres(boxes_of(monkeypatch, frames, FollowOne(0)))[:, 0], 200)
  np.testing.assert_allclose(centres(boxes_of(monkeypatch, frames, FollowOne(1)))[:, 0], 450)
  assert np.isnan(boxes_of(monkeypatch, frames, FollowOne(2))).all()
  assert all(len(boxes) == 2 for boxes in boxes_of(monkeypatch, frames, everybody))


def test_only_the_person_pointed_at_is_dubbed(monkeypatch):
  frames = [[face(450, 240, 160)]] * 30 + [[face(450, 240, 160), face(200, 240, 60)]] * 60
  find = detector(monkeypatch, frames)
  only = person_at(video(90), find, INFO, 190, 250, Fraction(2))
  boxes = boxes_of(monkeypatch, frames, only)
  assert np.isnan(boxes[:30]).all()
  np.testing.assert_allclose(centres(boxes[30:])[:, 0], 200)
  with pytest.raises(UserError, match='no face at 10,10'):
    person_at(video(90), find, INFO, 10, 10, Fraction(2))
  with pytest.raises(UserError, match='ends before'):
    person_at(video(90), find, INFO, 190, 250, Fraction(9))


def test_frames_are_held_back_for_a_bounded_time(monkeypatch):
  read = []

  def frames():
    for shown in video(200):
      read.append(shown.index)
      yield shown

  find = detector(monkeypatch, [[face(100, 100)]] * 200)
  ahead = [read[-1] - shown.index for shown, _ in follow(frames(), find, INFO, FollowOne())]
  assert max(ahead) <= 1.5 * 25


class Actor:
  """A drawn person, `side` pixels high, whose scene begins at x."""

  def __init__(self, speaker, x, side=HEIGHT):
    clip = draw_clip(speaker, 'test', 0, 0, SHOT / 25)
    self.x, self.side, self.frames = x, side, list(clip.scene(side))
    self.boxes = clip.boxes * side / SCENE_SIZE + [x, HEIGHT - side] * 2

  def enter(self, frame, k):
    frame[HEIGHT - self.side :, self.x : self.x + self.side] = self.frames[k]


def composed(*shots):
  """Yields the frames of shots of `SHOT` frames, each a list of actors."""
  rows, columns = np.mgrid[:HEIGHT, :WIDTH]
  for number, (actors, k) in enumerate(itertools.product(shots, range(SHOT))):
    frame = np.stack([rows // 4 + 90, columns // 8 + 80, np.full_like(rows, 110)], axis=-1).astype(np.uint8)
    for actor in actors:
      actor.enter(frame, k)
    yield PlayedFrame(number, Fraction(number, 25), ycbcr.from_rgb(frame, ycbcr.UNSPECIFIED_COLOURS))


def followed(choose, *shots):
  info = VideoInfo(WIDTH, HEIGHT, Fraction(25))
  return [boxes for _, boxes in follow(composed(*shots), make_detector('cascade'), info, choose)]


def agreement(boxes, truth):
  return np.mean([overlap(box, expected[None])[0] for box, expected in zip(boxes, truth, strict=True)])


@pytest.fixture(scope='module')
def actors():
  cv2.setNumThreads(1)
  return Actor(3, 0), Actor(4, 224), Actor(5, 300, 144)


def test_somebody_who_leaves_is_found_again(actors):
  left, *_ = actors
  found = followed(FollowOne(), [left], [], [left])
  assert [len(boxes) for boxes in found] == [1] * SHOT + [0] * SHOT + [1] * SHOT
  boxes = [boxes[0] for boxes in found if boxes]
  assert agreement(boxes, np.concatenate([left.boxes] * 2)) > 0.7


def test_after_a_cut_somebody_else_is_dubbed(actors):
  left, right, _ = actors
  found = followed(FollowOne(), [left], [right])
  assert all(len(boxes) == 1 for boxes in found)
  for shot, actor in ((found[:SHOT], left), (found[SHOT:], right)):
    assert agreement([boxes[0] for boxes in shot], actor.boxes) > 0.7


def test_the_larger_of_two_people_is_dubbed_or_both(actors):
  left, _, small = actors
  found = followed(FollowOne(), [small, left])
  assert agreement([boxes[0] for boxes in found], left.boxes) > 0.7 and all(len(boxes) == 1 for boxes in found)
  for actor in (left, small):
    both = followed(everybody, [small, left])
    near = [max(boxes, key=lambda box: overlap(box, actor.boxes[:1])[0]) for boxes in both]
    assert agreement(near, actor.boxes) > 0.6 and all(len(boxes) == 2 for boxes in both)
