"""The filter bank is librosa's to the last bit, made once for a user, and whatever befalls the cache."""

import math
import sys

import librosa.filters
import numpy as np
import pytest

from lpips_jax.audio.filter_bank import mel_filters

THE_MEL = 16000, 800, 80, 55, 7600


@pytest.fixture
def cached(monkeypatch, tmp_path):
  """An empty cache, and a process that has made no filter bank yet."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  mel_filters.cache_clear()
  yield tmp_path / 'lpips_jax' / 'mel_filters_16000_800_80_55_7600.npz'
  mel_filters.cache_clear()


@pytest.fixture
def no_librosa(monkeypatch):
  """Returns a function after which librosa cannot be imported, in a process that has made no filter bank yet."""

  def forget():
    mel_filters.cache_clear()
    monkeypatch.setitem(sys.modules, 'librosa', None)
    monkeypatch.setitem(sys.modules, 'librosa.filters', None)

  return forget


def slaneys_triangles() -> np.ndarray:
  """From the formula of Slaney's Auditory Toolbox (1998): linear up to 1 kHz, logarithmic from there on."""
  step = math.log(6.4) / 27

  def mels(hertz):
    return hertz * 3 / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) / step

  places = np.linspace(mels(55), mels(7600), 82)
  corners = np.where(places < 15, places * (200 / 3), 1000 * np.exp(step * (places - 15)))
  left, middle, right = (corners[k : k + 80, None] for k in range(3))
  hertz = np.arange(401) * 20
  triangles = np.maximum(0, np.minimum((hertz - left) / (middle - left), (right - hertz) / (right - middle)))
  return triangles * 2 / (right - left)


def test_filters_are_the_formulas_and_librosas(cached):
  filters = mel_filters(*THE_MEL)
  assert filters.shape == (80, 401) and filters.dtype == np.float32 and np.count_nonzero(filters) == 739
  np.testing.assert_array_equal(filters, slaneys_triangles().astype(np.float32))
  theirs = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600)
  np.testing.assert_allclose(filters, theirs, rtol=0, atol=2e-9)


def test_librosa_is_needed_once(cached, no_librosa):
  filters = mel_filters(*THE_MEL)
  no_librosa()
  np.testing.assert_array_equal(mel_filters(*THE_MEL), filters)
  with pytest.raises(ImportError):
    mel_filters(16000, 800, 40, 55, 7600)  # other filters are not taken for these


@pytest.mark.parametrize('change', ['emptied', 'cut short', 'overwritten', 'another array'])
def test_a_damaged_cache_is_replaced(cached, no_librosa, change):
  filters = mel_filters(*THE_MEL)
  content = cached.read_bytes()
  if change == 'another array':
    with cached.open('wb') as file:
      np.savez(file, filters=np.zeros((80, 400), np.float32))
  else:
    middle = len(content) // 2
    overwritten = content[:middle] + b'damage' + content[middle + 6 :]
    cached.write_bytes({'emptied': b'', 'cut short': content[:middle], 'overwritten': overwritten}[change])
  mel_filters.cache_clear()
  np.testing.assert_array_equal(mel_filters(*THE_MEL), filters)
  no_librosa()
  np.testing.assert_array_equal(mel_filters(*THE_MEL), filters)


def test_a_cache_that_cannot_be_written_does_no_harm(cached):
  cached.parent.write_text('a file in place of the directory')
  assert mel_filters(*THE_MEL).shape == (80, 401)
