"""PSNR and SSIM, equal to scikit-image's, for batches of images."""

import numpy as np
from jaxtyping import Float, Real
from scipy.ndimage import uniform_filter

# Wang et al. (IEEE TIP 13:4, 2004) with scikit-image's default of a uniform window.
SSIM_WINDOW = 7  # pixels
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2


def psnr(images: Real[np.ndarray, 'n h w c'], truth: Real[np.ndarray, 'n h w c']) -> Float[np.ndarray, ' n']:
  """Returns the peak signal-to-noise ratio of each image, as `peak_signal_noise_ratio(data_range=1)` does.

  Args:
    images: float in [0, 1], or uint8.
    truth: images of the same shape, of either type.

  Returns:
    float64 in dB; infinite for equal images.

  Raises:
    ValueError: the images differ in shape, or are integers other than uint8.
  """
  images, truth = _as_float(images, truth)
  error = ((images - truth) ** 2).mean((1, 2, 3))
  with np.errstate(divide='ignore'):
    return -10 * np.log10(error)


def ssim(images: Real[np.ndarray, 'n h w c'], truth: Real[np.ndarray, 'n h w c']) -> Float[np.ndarray, ' n']:
  """Returns the structural similarity of each image, as `structural_similarity(channel_axis=-1, data_range=1)` does.

  Means over 7x7 pixels, unbiased covariances, no windows across the border, the mean over places and channels.

  Args:
    images: float in [0, 1], or uint8; h, w >= 7.
    truth: images of the same shape, of either type.

  Returns:
    float64 in [-1, 1], 1 for equal images.

  Raises:
    ValueError: the images differ in shape, are integers other than uint8, or are smaller than the window.
  """
  x, y = _as_float(images, truth)
  if min(x.shape[1:3]) < SSIM_WINDOW:
    raise ValueError(f'SSIM needs images of at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels, not {x.shape[1:3]}')
  mean_x, mean_y = _window_mean(x), _window_mean(y)
  unbiased = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
  variance_x = unbiased * (_window_mean(x * x) - mean_x**2)
  variance_y = unbiased * (_window_mean(y * y) - mean_y**2)
  covariance = unbiased * (_window_mean(x * y) - mean_x * mean_y)
  luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
  structure = (2 * covariance + SSIM_C2) / (variance_x + variance_y + SSIM_C2)
  return (luminance * structure).mean((1, 2, 3))


def _as_float(*batches: np.ndarray) -> tuple[np.ndarray, ...]:
  """Converts images before they are subtracted: differences of uint8 wrap, which has inflated published PSNRs."""
  batches = tuple(np.asarray(batch) for batch in batches)
  if any(batch.ndim != 4 or batch.shape != batches[0].shape for batch in batches):
    raise ValueError(f'expected batches of one shape (n, h, w, c), not {" and ".join(str(b.shape) for b in batches)}')
  return tuple(_to_unit_range(batch) for batch in batches)


def _to_unit_range(batch: np.ndarray) -> np.ndarray:
  if batch.dtype == np.uint8:
    return batch / 255.0
  if np.issubdtype(batch.dtype, np.integer):
    raise ValueError(f'images are floats in [0, 1] or uint8, not {batch.dtype}')
  return batch.astype(np.float64)


def _window_mean(x: np.ndarray) -> np.ndarray:
  """Returns the mean of every window that lies within the image: (n, h, w, c) -> (n, h - 6, w - 6, c)."""
  border = SSIM_WINDOW // 2
  return uniform_filter(x, (1, SSIM_WINDOW, SSIM_WINDOW, 1))[:, border:-border, border:-border]
