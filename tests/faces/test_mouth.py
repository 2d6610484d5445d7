"""The opening of mouths: it agrees with what the corpus knows, and is nothing where nothing moves."""

import cv2
import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import draw_clip, draw_speaker
from lpips_jax.faces.mouth import mouth_opening, opening_correlation

SEED = 21


def _hardest_speakers():
  """The darkest skin, the fairest skin and the thickest beard of forty, and three others."""
  looks = [draw_speaker(SEED, 'test', number).appearance for number in range(40)]
  skin = [face.skin[0] for face in looks]
  beard = [face.beard + face.moustache for face in looks]
  return [int(np.argmin(skin)), int(np.argmax(skin)), int(np.argmax(beard)), 3, 4, 5]


@pytest.fixture(scope='module')
def clips():
  drawn = [draw_clip(SEED, 'test', number, 0, seconds=2.4) for number in _hardest_speakers()]
  return [(np.stack(list(clip.crops(96))), clip.mouth_opening) for clip in drawn]


@pytest.mark.parametrize('size', [64, 96])
def test_agrees_with_the_truth_on_unseen_speakers(clips, size):
  found = [opening_correlation(_resized(frames, size), truth) for frames, truth in clips]
  assert np.mean(found) >= 0.95
  assert min(found) >= 0.85


def test_blur_as_of_a_small_generator_is_survived(clips):
  blurred = [np.stack([cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in frames]) for frames, _ in clips]
  assert np.mean([opening_correlation(b, truth) for b, (_, truth) in zip(blurred, clips, strict=True)]) >= 0.9


def test_grey_films_are_measured_too(clips):
  grey = [np.repeat(frames.mean(-1, keepdims=True).astype(np.uint8), 3, -1) for frames, _ in clips]
  found = [opening_correlation(frames, truth) for frames, (_, truth) in zip(grey, clips, strict=True)]
  assert min(found) >= 0.7


def test_another_clips_opening_does_not_fit(clips):
  truths = [truth for _, truth in clips]
  found = [opening_correlation(frames, truths[i - 1]) for i, (frames, _) in enumerate(clips)]
  assert abs(np.mean(found)) < 0.3


def test_bytes_and_floats_agree(clips):
  frames, _ = clips[0]
  np.testing.assert_allclose(mouth_opening(frames), mouth_opening(frames / np.float32(255)), atol=1e-5)


def test_nothing_moves_nothing_correlates(clips):
  frames, truth = clips[0]
  still = np.repeat(frames[:1], len(truth), axis=0)
  assert opening_correlation(still, truth) == 0
  assert opening_correlation(frames, np.full(len(truth), 0.3)) == 0


def test_a_mouth_that_is_never_shut_is_recognised_beside_others(clips):
  frames, truth = clips[0]
  agape = np.repeat(frames[truth.argmax()][None], 20, axis=0)
  assert mouth_opening(agape).max() == 0  # by itself it has nothing to compare with
  beside = mouth_opening(np.concatenate([agape, frames]), frames)
  np.testing.assert_array_equal(beside[20:], mouth_opening(frames))  # the others are measured by themselves alone
  np.testing.assert_allclose(beside[:20], beside[20:].max(), rtol=0.1)


def _resized(frames, size):
  return np.stack([cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA) for frame in frames])
