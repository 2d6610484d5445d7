import numpy as np
import pytest
from annotations import unchecked
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lpips_jax.metrics import psnr, ssim


def images(seed, size=(20, 31)):
  """Pairs of different likeness: smooth images under noise of growing strength."""
  rng = np.random.default_rng(seed)
  truth = np.kron(rng.uniform(size=(4, size[0] // 4, size[1] // 4, 3)), np.ones((1, 4, 4, 1)))
  truth = np.pad(truth, [(0, 0), (0, size[0] % 4), (0, size[1] % 4), (0, 0)], 'edge')
  strength = np.array([0.01, 0.1, 0.3, 1]).reshape(4, 1, 1, 1)
  return np.clip(truth + strength * rng.standard_normal(truth.shape), 0, 1), truth


def test_match_scikit_image():
  noisy, truth = images(0)
  expected_psnr = [peak_signal_noise_ratio(t, i, data_range=1) for i, t in zip(noisy, truth, strict=True)]
  expected_ssim = [
    structural_similarity(t, i, channel_axis=-1, data_range=1) for i, t in zip(noisy, truth, strict=True)
  ]
  np.testing.assert_allclose(psnr(noisy, truth), expected_psnr, rtol=0, atol=1e-6)
  np.testing.assert_allclose(ssim(noisy, truth), expected_ssim, rtol=0, atol=1e-6)
  assert np.ptp(expected_psnr) > 20 and np.ptp(expected_ssim) > 0.5


def test_uint8_is_converted_before_it_is_subtracted():
  dark, bright = np.full((1, 8, 8, 3), 10, np.uint8), np.full((1, 8, 8, 3), 250, np.uint8)
  expected = 20 * np.log10(255 / 240)
  np.testing.assert_allclose(psnr(dark, bright), expected)
  np.testing.assert_allclose(psnr(bright, dark), expected)
  wrapped = -10 * np.log10((((dark - bright) / 255.0) ** 2).mean())
  assert wrapped > expected + 20


def test_uint8_and_float_images_may_meet():
  noisy, truth = ((255 * batch).astype(np.uint8) for batch in images(1))
  for metric in (psnr, ssim):
    np.testing.assert_allclose(metric(noisy, truth), metric(noisy / 255.0, truth))


def test_equal_images():
  _, truth = images(2)
  np.testing.assert_array_equal(psnr(truth, truth), np.inf)
  np.testing.assert_allclose(ssim(truth, truth), 1)


def test_float32_images_are_measured_in_float64():
  noisy, truth = images(3)
  assert psnr(noisy.astype(np.float32), truth.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize('metric', [psnr, ssim])
def test_images_that_do_not_fit_are_refused(metric):
  noisy, truth = images(4)
  with unchecked(), pytest.raises(ValueError, match='one shape'):
    metric(noisy, truth[:1])
  with pytest.raises(ValueError, match='int64'):
    metric((255 * noisy).astype(np.int64), truth)


def test_ssim_needs_a_window():
  with pytest.raises(ValueError, match='at least 7 x 7'):
    ssim(np.zeros((1, 6, 9, 3)), np.zeros((1, 6, 9, 3)))
