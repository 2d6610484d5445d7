"""Speech at any level is heard alike, and silence is left alone."""

import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.audio.loudness import AS_IS, TARGET_LEVEL, levelled, mel_of, speech_level
from lpips_jax.audio.mel import mel_windows, melspectrogram

RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def speech():
  samples = draw_clip(3, 'test', 0, 0, 3.0).audio / np.float32(32768)
  return samples / np.abs(samples).max()


def noise(seconds, decibels):
  return (10 ** (decibels / 20) * RNG.standard_normal(round(16000 * seconds))).astype(np.float32)


@pytest.mark.parametrize('decibels', [-50, -35, -20, -6, 0])
@pytest.mark.parametrize('offset', [0, 0.02])
def test_windows_do_not_depend_on_the_level(speech, decibels, offset):
  samples = 10 ** (decibels / 20) * speech + np.float32(offset)
  truth, windows = (mel_windows(mel_of(x), 25, 70) for x in (speech, samples))
  correlations = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(truth, windows, strict=True)]
  assert min(correlations) >= 0.98
  assert np.abs(windows - truth).mean() < 0.02


def test_16_bit_samples_are_heard_alike(speech):
  loud, quiet = (np.round(32767 * 10 ** (decibels / 20) * speech).astype(np.int16) for decibels in (0, -40))
  assert np.corrcoef(mel_of(loud).ravel(), mel_of(quiet).ravel())[0, 1] >= 0.98
  assert np.abs(mel_of(loud) - mel_of(quiet)).mean() < 0.1


def test_the_level_is_that_of_the_speech_whatever_the_pauses():
  burst = noise(1, -20)
  assert speech_level(burst) == pytest.approx(-20, abs=0.5)
  long = np.concatenate([noise(20, -70), burst, noise(20, -70)])
  assert speech_level(long) == pytest.approx(-20, abs=0.5)
  assert speech_level(levelled(long)) == pytest.approx(TARGET_LEVEL, abs=0.1)


def test_a_click_does_not_count(speech):
  clicked = speech / 100
  clicked[20000:20100] = 1
  assert speech_level(clicked) == pytest.approx(speech_level(speech / 100), abs=1)


@pytest.mark.parametrize(
  'samples', [np.zeros(16000, np.float32), noise(1, -75), noise(2, -55), np.full(16000, 0.3, np.float32)]
)
def test_silence_stays_silence(samples):
  assert speech_level(samples) is None
  np.testing.assert_allclose(mel_of(samples), melspectrogram(samples - np.median(samples)), atol=0.05)


def test_released_networks_hear_speech_as_it_is(speech):
  quiet = np.round(300 * speech).astype(np.int16)
  np.testing.assert_array_equal(mel_of(quiet, AS_IS), melspectrogram(quiet / np.float32(32768)))


@pytest.mark.parametrize('length', [1, 100, 700])
def test_the_shortest_sound_is_heard(length):
  assert np.isfinite(mel_of(0.1 * RNG.standard_normal(length))).all()


def test_samples_of_no_or_several_channels_are_refused():
  for samples in (np.zeros(0), np.zeros((2, 100))):
    with pytest.raises(ValueError, match='one-channel'):
      mel_of(samples)
