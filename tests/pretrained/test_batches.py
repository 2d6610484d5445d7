"""Clips of any length go through a network in batches of one size."""

import cv2
import numpy as np
import pytest

from lpips_jax.pretrained import batches


def test_batches_are_padded_and_cut():
  calls = []

  def double(x):
    calls.append(x.shape)
    return 2 * x

  x = np.arange(2 * batches.BATCH_SIZE + 3.0)
  np.testing.assert_array_equal(batches.in_batches(double, x), 2 * x)
  assert set(calls) == {(batches.BATCH_SIZE,)}


def test_every_array_that_a_network_returns_has_a_row_for_each_example():
  x, y = np.arange(30.0), np.arange(60.0).reshape(30, 2)
  total, (first, second) = batches.in_batches(lambda x, y: (x + y.sum(1), (x, y)), x, y)
  np.testing.assert_array_equal(total, x + y.sum(1))
  np.testing.assert_array_equal(first, x)
  np.testing.assert_array_equal(second, y)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_embeddings_are_of_windows_of_five_frames_and_their_speech(dtype):
  """Frame k is of level k, and row k of the spectrogram is k: 80 rows and 25 frames are a second."""
  frames = (np.arange(8)[:, None, None, None] * np.ones((1, 2, 2, 3))).astype(dtype)
  mel = np.arange(40.0)[:, None] * np.ones((1, 80))
  faces, speech = batches.embeddings(lambda frames, mels: (frames[:, :, 0, 0, 0], mels[:, 0]), frames, mel)
  scale = 255 if dtype == np.uint8 else 1
  np.testing.assert_allclose(faces * scale, np.arange(4)[:, None] + np.arange(5), rtol=1e-6)
  np.testing.assert_array_equal(speech[:, 0], [0, 3, 6, 9])  # floor(80 k / 25)
  assert speech.shape == (4, 16)


def test_crops_shrink_by_area_and_grow_smoothly():
  rng = np.random.default_rng(0)
  crops = rng.integers(256, size=(2, 8, 8, 3), dtype=np.uint8)
  assert batches.at_size(crops, 8) is crops
  means = crops.reshape(2, 4, 2, 4, 2, 3).mean((2, 4))
  np.testing.assert_allclose(batches.at_size(crops, 4), means, atol=0.5 + 1e-6)
  assert batches.at_size(crops, 4).dtype == np.uint8
  sharp = np.zeros((1, 8, 8, 3), np.float32)
  sharp[:, :, 4:] = 1
  grown = batches.at_size(sharp, 16)
  assert grown.dtype == np.float32 and grown.min() == 0 and grown.max() == 1  # cubic, without its overshoot
  np.testing.assert_array_equal(grown[0], np.clip(cv2.resize(sharp[0], (16, 16), interpolation=cv2.INTER_CUBIC), 0, 1))
