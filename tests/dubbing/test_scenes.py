"""Drawn people in composed videos, found by the cascade: somebody leaves and comes back, two at once, a cut."""

import itertools
from fractions import Fraction

import cv2
import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import draw_clip
from data_pipeline.corpora.talking_faces.face import SCENE
from lpips_jax.dubbing.selection import FollowOne, everybody, follow
from lpips_jax.faces.boxes import overlap
from lpips_jax.faces.detect import make_detector
from lpips_jax.media import ycbcr
from lpips_jax.media.playback import Shown
from lpips_jax.media.video_reader import VideoInfo

WIDTH, HEIGHT = 480, 256
SHOT = 24  # frames


class Actor:
  """A drawn person, `side` pixels high, whose scene begins at x."""

  def __init__(self, speaker, x, side=HEIGHT):
    clip = draw_clip(speaker, 'test', 0, 0, SHOT / 25)
    self.x, self.side, self.frames = x, side, list(clip.scene(side))
    self.boxes = clip.boxes * side / SCENE + [x, HEIGHT - side] * 2

  def enter(self, frame, k):
    frame[HEIGHT - self.side :, self.x : self.x + self.side] = self.frames[k]


def composed(*shots):
  """Shots of `SHOT` frames, each a list of actors."""
  rows, columns = np.mgrid[:HEIGHT, :WIDTH]
  for number, (actors, k) in enumerate(itertools.product(shots, range(SHOT))):
    frame = np.stack([rows // 4 + 90, columns // 8 + 80, np.full_like(rows, 110)], axis=-1).astype(np.uint8)
    for actor in actors:
      actor.enter(frame, k)
    yield Shown(number, Fraction(number, 25), ycbcr.from_rgb(frame, ycbcr.UNSPECIFIED_COLOURS))


def followed(choose, *shots):
  info = VideoInfo(WIDTH, HEIGHT, Fraction(25))
  return [boxes for _, boxes in follow(composed(*shots), make_detector('cascade'), info, choose)]


def agreement(boxes, truth):
  return np.mean([overlap(box, expected[None])[0] for box, expected in zip(boxes, truth, strict=True)])


@pytest.fixture(scope='module')
def actors():
  cv2.setNumThreads(1)
  return Actor(3, 0), Actor(4, 224), Actor(5, 300, 144)


def test_who_leaves_is_let_go_and_found_again(actors):
  left, *_ = actors
  found = followed(FollowOne(), [left], [], [left])
  assert [len(boxes) for boxes in found] == [1] * SHOT + [0] * SHOT + [1] * SHOT
  boxes = [boxes[0] for boxes in found if boxes]
  assert agreement(boxes, np.concatenate([left.boxes] * 2)) > 0.7


def test_a_cut_to_somebody_else(actors):
  left, right, _ = actors
  found = followed(FollowOne(), [left], [right])
  assert all(len(boxes) == 1 for boxes in found)
  for shot, actor in ((found[:SHOT], left), (found[SHOT:], right)):
    assert agreement([boxes[0] for boxes in shot], actor.boxes) > 0.7


def test_of_two_people_the_larger_or_both(actors):
  left, _, small = actors
  found = followed(FollowOne(), [small, left])
  assert agreement([boxes[0] for boxes in found], left.boxes) > 0.7 and all(len(boxes) == 1 for boxes in found)
  for actor in (left, small):
    both = followed(everybody, [small, left])
    near = [max(boxes, key=lambda box: overlap(box, actor.boxes[:1])[0]) for boxes in both]
    assert agreement(near, actor.boxes) > 0.6 and all(len(boxes) == 2 for boxes in both)
