"""Optical flow: movement is found, lips that part are told from heads that move, and what is hidden is not trusted."""

import cv2
import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.media.flow import flow_between, lip_parting, trusted_flow


@pytest.fixture(scope='module')
def clip():
  drawn = draw_clip(5, 'test', 2, 0, 2.0)
  return drawn, np.stack(list(drawn.crops(96)))


def test_a_known_shift_is_found(clip):
  _, crops = clip
  to_shifted = np.array([[1, 0, 3.0], [0, 1, -2.0]])
  shifted = cv2.warpAffine(crops[0], to_shifted, (96, 96), borderMode=cv2.BORDER_REPLICATE)
  flow = 96 * flow_between(shifted, crops[0])[24:72, 24:72]
  np.testing.assert_allclose(np.median(flow, (0, 1)), (-3, 2), atol=0.3)
  assert np.abs(flow_between(crops[0], crops[0])).max() < 1e-3


def test_lips_part_as_far_as_the_mouth_is_open(clip):
  drawn, crops = clip
  shut = crops[drawn.mouth_opening.argmin()]
  parting = lip_parting(crops, shut)
  assert np.corrcoef(parting, drawn.mouth_opening)[0, 1] > 0.8
  nodding = np.array([[1, 0.02, 1.0], [-0.02, 1.03, 2.5]])
  nodded = [cv2.warpAffine(crop, nodding, (96, 96), borderMode=cv2.BORDER_REPLICATE) for crop in crops]
  assert np.abs(lip_parting(nodded, shut) - parting).mean() < 0.3 * parting.std()


def test_the_inside_of_a_mouth_is_not_trusted(clip):
  drawn, crops = clip
  wide, shut = crops[drawn.mouth_opening.argmax()], crops[drawn.mouth_opening.argmin()]
  trust = trusted_flow(wide, shut)[..., 2]
  assert trust.shape == (96, 96) and trust.min() == 0 and trust.max() == 1
  assert trust[60:84, 40:56].mean() < trust[10:50, 24:72].mean()
