"""A clip, speech and boxes to dub with."""

import pytest
from painter import write_boxes, write_clip, write_speech


@pytest.fixture
def media(tmp_path):
  """A clip of 20 frames, 1.6 s of speech that starts after 0.8 s, boxes, and where to write."""
  return {
    'face': write_clip(tmp_path / 'face.mp4', 20),
    'audio': write_speech(tmp_path / 'speech.wav', 0.8, 0.8),
    'boxes': write_boxes(tmp_path / 'boxes.json', 20),
    'output': tmp_path / 'out.mp4',
  }
