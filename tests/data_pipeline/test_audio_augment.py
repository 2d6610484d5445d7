"""Audio augmentation: other voices, microphones and rooms, with unchanged timing."""

import numpy as np
import pytest

from data_pipeline.audio_augment import NO_AUDIO_AUGMENTATION, AudioAugmentation, _with_noise, _with_other_formants
from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.windows import ExpertWindows, GeneratorWindows
from lpips_jax.audio.mel import mel_windows
from lpips_jax.core.constants import MEL_MAX


@pytest.fixture(scope='module')
def record():
  return clip_record(0, 'train', 1, 0, seconds=2.0, image_size=32)


@pytest.fixture(scope='module')
def mels(record):
  return mel_windows(record['mel'], 25, 40)


def test_nothing_changes_unless_asked_for(mels):
  assert NO_AUDIO_AUGMENTATION(mels, np.random.default_rng(0)) is mels


def test_changes_stay_in_range_and_grow_with_the_strength(mels):
  kept = {}
  for strength in (0.2, 1.0):
    made = [AudioAugmentation(strength)(mels, np.random.default_rng(seed)) for seed in range(20)]
    assert all(one.shape == mels.shape and one.dtype == np.float32 for one in made)
    assert min(one.min() for one in made) >= -MEL_MAX and max(one.max() for one in made) <= MEL_MAX
    kept[strength] = np.mean([np.corrcoef(one.ravel(), mels.ravel())[0, 1] for one in made])
  assert 0.4 < kept[1.0] < kept[0.2] < 0.98


def test_timing_stays(mels):
  loudness = mels.mean((1, 2))
  changed = [AudioAugmentation(0.6)(mels, np.random.default_rng(seed)).mean((1, 2)) for seed in range(10)]
  assert np.mean([np.corrcoef(loudness, other)[0, 1] for other in changed]) > 0.9


def test_formants_move_along_the_bands():
  peak = np.zeros((1, 80, 16), np.float32)
  peak[:, 40] = 1
  assert _with_other_formants(peak, np.array([0, 1.0]))[0, :, 0].argmax() == 35
  assert _with_other_formants(peak, np.array([1.0, 0]))[0, :, 0].argmax() == round(40 / 1.12)


def test_noise_only_adds(mels):
  noisy = _with_noise(mels, 1.0, np.random.default_rng(3))
  assert (noisy >= mels - 1e-5).all() and noisy[mels < -3].mean() > mels[mels < -3].mean()


def test_windows_of_an_expert_are_changed_alike_and_by_the_seed(record):
  plain, changed, again = (
    ExpertWindows(32, 4, 3, audio_augmentation=AudioAugmentation(strength)).random_map(record, np.random.default_rng(1))
    for strength in (0.0, 1.0, 1.0)
  )
  np.testing.assert_array_equal(plain['frames'], changed['frames'])
  np.testing.assert_array_equal(changed['mel'], again['mel'])
  assert changed['mel'].shape == (1, 4, 80, 16) and np.abs(changed['mel'] - plain['mel']).mean() > 0.1


def test_only_the_mel_of_a_generator_changes(record):
  def example(strength, **options):
    windows = GeneratorWindows(32, 2.0, audio_augmentation=AudioAugmentation(strength), **options)
    return windows.random_map(record, np.random.default_rng(1))

  plain, changed = example(0.0), example(1.0)
  assert changed['mel'].shape == (1, 5, 80, 16) and np.abs(changed['mel'] - plain['mel']).mean() > 0.1
  for name in ('target', 'reference', 'window_mel'):  # the expert compares the true speech
    np.testing.assert_array_equal(changed[name], plain[name])
  np.testing.assert_array_equal(example(1.0, speech='phones')['mel'], example(0.0, speech='phones')['mel'])


def test_silence_stays_silence_in_any_voice(record):
  quiet = record | {'mel': np.pad(record['mel'], ((0, 40), (0, 0)), constant_values=-MEL_MAX)[40:]}
  windows = GeneratorWindows(32, 2.0, silence=1.0, audio_augmentation=AudioAugmentation(1.0))
  assert (windows.random_map(quiet, np.random.default_rng(0))['mel'] == -MEL_MAX).all()
