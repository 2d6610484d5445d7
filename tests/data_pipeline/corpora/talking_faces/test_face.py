"""Rendered faces: detectors find them, where the corpus crops them."""

import os

import cv2
import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import draw_clip

N_FACES = 24


@pytest.fixture(scope='module')
def scenes():
  """A frame of each of many speakers, and its box in the corpus."""
  clips = [draw_clip(8, 'test', number, 0, seconds=0.2) for number in range(N_FACES)]
  return [(next(clip.scene()), clip.boxes[0]) for clip in clips]


def test_the_cascade_finds_the_faces(scenes):
  cascade = cv2.CascadeClassifier(cv2.data.haarcascades + 'haarcascade_frontalface_default.xml')
  found = 0
  for frame, box in scenes:
    faces = cascade.detectMultiScale(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 1.1, 4, minSize=(60, 60))
    middle = (box[:2] + box[2:]) / 2
    found += any(x < middle[0] < x + w and y < middle[1] < y + h for x, y, w, h in faces)
  assert found >= 0.95 * len(scenes)


@pytest.mark.skipif('LIPSYNC_YUNET' not in os.environ, reason="LIPSYNC_YUNET does not name YuNet's file")
def test_yunet_finds_the_faces_where_the_corpus_crops_them(scenes):
  height, width = scenes[0][0].shape[:2]
  detector = cv2.FaceDetectorYN.create(os.environ['LIPSYNC_YUNET'], '', (width, height), score_threshold=0.6)
  overlaps = []
  for frame, box in scenes:
    _, faces = detector.detect(np.ascontiguousarray(frame[..., ::-1]))
    assert faces is not None
    left, top, width, height = faces[np.argmax(faces[:, -1]), :4]
    overlaps.append(_overlap(box, (left, top, left + width, top + height)))
  assert np.mean(overlaps) > 0.88


def _overlap(one, two):
  one, two = np.asarray(one), np.asarray(two)
  shared = np.prod(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]))
  return shared / (np.prod(one[2:] - one[:2]) + np.prod(two[2:] - two[:2]) - shared)
