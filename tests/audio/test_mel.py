"""The one mel, against librosa's pipeline and a plain NumPy STFT, and the rule that gives a video frame its window."""

from fractions import Fraction

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpips_jax import audio
from lpips_jax.audio.mel import mel_windows, mel_windows_at, melspectrogram
from lpips_jax.core.constants import SAMPLE_RATE


def plain_stft(samples: np.ndarray) -> np.ndarray:
  """Frame by frame, straight from the definition; only the filter bank is librosa's."""
  samples = samples.astype(np.float64)
  padded = np.pad(emphasised(samples), 400, mode='reflect')
  hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 800)
  bank = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600).astype(np.float64)
  starts = range(0, len(samples) + 1, 200)
  return scaled(np.array([bank @ np.abs(np.fft.rfft(hann * padded[start : start + 800])) for start in starts]))


def librosas_pipeline(samples: np.ndarray) -> np.ndarray:
  """All of it but the pre-emphasis and the scale is `librosa.feature.melspectrogram`."""
  magnitudes = librosa.feature.melspectrogram(
    y=emphasised(samples.astype(np.float64)), sr=16000, n_fft=800, hop_length=200, window='hann', center=True,
    pad_mode='reflect', power=1.0, n_mels=80, fmin=55, fmax=7600,
  )  # fmt: skip
  return scaled(magnitudes.T[: 1 + len(samples) // 200])


def emphasised(samples: np.ndarray) -> np.ndarray:
  result = np.concatenate([samples[:1], samples[1:] - 0.97 * samples[:-1]])
  return np.pad(result, (0, max(0, 800 - len(samples))))  # speech shorter than a Fourier window is followed by silence


def scaled(magnitudes: np.ndarray) -> np.ndarray:
  level = 20 * np.log10(np.maximum(1e-5, magnitudes)) - 20
  return np.clip(8 * (level + 100) / 100 - 4, -4, 4)


@pytest.mark.parametrize('oracle', [plain_stft, librosas_pipeline])
@pytest.mark.parametrize('length', [16000, 16001, 16199, 16200, 700, 1])
def test_mel_equals_its_oracles(length, oracle):
  rng = np.random.default_rng(length)
  time = np.arange(length) / SAMPLE_RATE
  samples = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.1 * rng.standard_normal(length)
  mel = melspectrogram(samples.astype(np.float32))
  assert mel.shape == (1 + length // 200, 80)
  assert mel.dtype == np.float32
  np.testing.assert_allclose(mel, oracle(samples.astype(np.float32)), atol=1e-4)


def test_the_package_offers_the_mel_and_its_windows():
  assert (audio.melspectrogram, audio.mel_windows) == (melspectrogram, mel_windows)


def test_silence_is_the_lowest_value():
  assert (melspectrogram(np.zeros(16000, np.float32)) == -4).all()


@pytest.mark.parametrize('samples', [np.zeros(0), np.zeros((2, 100))])
def test_samples_of_no_or_several_channels_are_refused(samples):
  with pytest.raises(ValueError, match='one-channel'):
    melspectrogram(samples)


def ramp(frames: int) -> np.ndarray:
  """A spectrogram whose every value is the number of its frame."""
  return np.repeat(np.arange(frames, dtype=np.float32)[:, None], 80, axis=1)


@pytest.mark.parametrize('rate', [Fraction(25), Fraction(30000, 1001), Fraction(24), 50.0])
@pytest.mark.parametrize('lead', [0, 1, 2.0])
def test_a_window_starts_where_its_frame_does(rate, lead):
  windows = mel_windows(ramp(1000), rate, 150, lead)
  assert windows.shape == (150, 80, 16)
  for k in range(10, 150):
    start = 80 * (k - Fraction(lead)) / Fraction(rate)
    assert windows[k, 0, 0] == start.numerator // start.denominator
    np.testing.assert_array_equal(windows[k, 40], windows[k, 0, 0] + np.arange(16))


def test_windows_repeat_the_first_and_the_last_mel_frame():
  windows = mel_windows(ramp(20), Fraction(25), 10, lead=2)
  np.testing.assert_array_equal(windows[0, 0], [0] * 8 + list(range(1, 9)))
  np.testing.assert_array_equal(windows[9, 0], [19] * 16)
  assert (np.diff(windows[:, 0, 0]) >= 0).all()


@pytest.mark.parametrize('length', [16, 32, 160])
def test_longer_windows_have_the_same_centre(length):
  rate, mel = Fraction(30000, 1001), ramp(900)
  longer, short = mel_windows(mel, rate, 150, 2, length), mel_windows(mel, rate, 150, 2)
  assert longer.shape == (150, 80, length)
  before = (length - 16) // 2
  np.testing.assert_array_equal(longer[..., before : before + 16], short)
  np.testing.assert_array_equal(np.diff(longer[60:90]), 1)
  np.testing.assert_array_equal(longer, mel_windows_at(mel, [(k - 2) / rate for k in range(150)], length))


def test_windows_from_the_middle_equal_those_of_all_frames():
  rate, mel = Fraction(30000, 1001), ramp(400)
  np.testing.assert_array_equal(mel_windows(mel, rate, 100, 2)[37:], mel_windows(mel, rate, 63, 2 - 37))


rates = st.sampled_from([Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60)])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 300), rates, st.integers(1, 80), st.fractions(-5, 5, max_denominator=8))
def test_windows_are_those_of_the_definition(rows, rate, frames, lead):
  """Mel frame floor(80 t) and the 15 after it, t being when the window begins; the ends are repeated."""
  mel = ramp(rows)
  windows = mel_windows(mel, rate, frames, lead)
  times = [(k - lead) / rate for k in range(frames)]
  np.testing.assert_array_equal(windows, mel_windows_at(mel, times))
  for window, time in zip(windows, times, strict=True):
    rows_of_it = [min(max(int(80 * time // 1) + k, 0), rows - 1) for k in range(16)]
    np.testing.assert_array_equal(window, np.tile(np.float32(rows_of_it), (80, 1)))


@pytest.mark.parametrize('mel', [np.zeros((0, 80)), np.zeros((10, 40)), np.zeros(80)])
def test_arrays_that_are_no_spectrogram_are_refused(mel):
  with pytest.raises(ValueError, match='mel spectrogram'):
    mel_windows(mel, 25, 1)
