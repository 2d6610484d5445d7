"""References: a mouth at rest is found, and brought to the pose of a head that has moved."""

import cv2
import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.faces import references
from lpips_jax.faces.references import references_for, rest_frame, shut_frames


def _clip(number=0, seconds=3.0, size=64):
  drawn = draw_clip(5, 'test', number, 0, seconds)
  return drawn, np.stack(list(drawn.crops(size)))


def test_shut_frames_are_the_least_open_ones():
  drawn, crops = _clip()
  shut = shut_frames(crops)
  assert len(shut) == round(0.2 * len(crops))
  assert drawn.mouth_opening[shut].mean() < 0.25 * drawn.mouth_opening.mean()
  assert rest_frame(crops) in shut
  blurred = crops.copy()
  blurred[rest_frame(crops)] = cv2.GaussianBlur(crops[rest_frame(crops)], (0, 0), 2)
  assert rest_frame(blurred) != rest_frame(crops)  # a sharp one is preferred


def test_lips_that_are_pressed_together_are_no_mouth_at_rest(monkeypatch):
  """They may seem to be shut better than any others, and show a generator no lips that it could part."""
  drawn, crops = _clip()
  pressed = np.arange(0, len(crops), 20)
  above, below = crops[pressed, 41:42, 16:50], crops[pressed, 52:53, 16:50]
  down = np.linspace(0, 1, 12)[None, :, None, None]
  crops[pressed, 41:53, 16:50] = (1 - down) * above + down * below  # skin in place of lips
  opening = drawn.mouth_opening.copy()
  opening[pressed] = -1
  monkeypatch.setattr(references, 'mouth_opening', lambda crops: opening)
  assert np.isin(shut_frames(crops)[: len(pressed)], pressed).all()
  assert rest_frame(crops) not in pressed


def test_references_follow_the_head_and_not_the_mouth():
  drawn, crops = _clip(3)
  still = crops[rest_frame(crops)]
  shown = references_for(crops, still)
  upper = slice(0, 36)
  unmoved = np.abs(crops[:, upper].astype(int) - still[upper]).mean()
  assert np.abs(crops[:, upper].astype(int) - shown[:, upper]).mean() < 0.6 * unmoved
  wide = int(drawn.mouth_opening.argmax())
  mouth = slice(42, 58), slice(22, 42)
  assert np.abs(crops[wide][mouth].astype(int) - shown[wide][mouth]).mean() > 10  # it stays shut
