"""The mel filter bank: librosa's, made once for a user and then read from their cache.

To import `librosa.filters` takes 1 s and 137 MiB, and every command and data worker would pay that for 739 numbers. The
first mel spectrogram of a fresh process, on two CPU cores, the import of this package (0.1 s) not counted:

  filters made without librosa    4 ms to 9 ms, 34 MiB at the peak (6 runs)
  librosa's, the first time       1.0 s to 1.2 s, 171 MiB (3 runs)
  librosa's, from then on         4 ms to 10 ms, 34 MiB (6 runs)
"""

import contextlib
import zipfile
from functools import cache
from pathlib import Path

import numpy as np

from lpips_jax.core.files import user_cache, whole_file


@cache
def mel_filters(sample_rate: int, fft_size: int, bands: int, lowest: int, highest: int) -> np.ndarray:
  """Returns triangles of equal area, evenly spaced on Slaney's mel scale, as librosa has them.

  Args:
    sample_rate: of the sound, in Hz.
    fft_size: samples of a Fourier transform.
    bands: number of triangles.
    lowest: Hz, where the first one begins.
    highest: Hz, where the last one ends.

  Returns:
    (bands, 1 + fft_size // 2) float32.
  """
  cached = user_cache() / f'mel_filters_{sample_rate}_{fft_size}_{bands}_{lowest}_{highest}.npz'
  with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # not there yet, or damaged
    return _read(cached, (bands, 1 + fft_size // 2))
  import librosa.filters  # here, as it is seldom needed

  # In double precision, rounded once at the end: librosa's own float32 differs in the last digit of 184 numbers.
  exact = librosa.filters.mel(sr=sample_rate, n_fft=fft_size, n_mels=bands, fmin=lowest, fmax=highest, dtype=np.float64)
  filters = exact.astype(np.float32)
  with contextlib.suppress(OSError):  # a full disk, or none to write to: the next process makes them again
    _write(cached, filters)
  return filters


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray:
  """Reads a filter bank; raises ValueError if it is another one, BadZipFile if its checksum is wrong."""
  with path.open('rb') as file, np.load(file) as archive:  # NumPy leaves damaged files open
    filters = archive['filters']
  if filters.shape != shape or filters.dtype != np.float32:
    raise ValueError(f'{path} holds an array of shape {filters.shape}, {filters.dtype}')
  return filters


def _write(path: Path, filters: np.ndarray) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  with whole_file(path) as part, part.open('wb') as file:
    np.savez(file, filters=filters)
