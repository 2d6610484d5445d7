"""Speech as the generator hears it: at the level that it was trained for, with its pauses."""

from fractions import Fraction

import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.audio import phones
from lpips_jax.audio.visemes import VISEMES
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing.speech import Speech, check_drive, find_pauses, is_pause

SAMPLES = draw_clip(3, 'test', 0, 0, 1.0).audio / np.float32(32768)
TIMES = [Fraction(k, 25) for k in range(30)]


def windows(samples, level):
  return Speech(samples, False, 'mel', level)(TIMES, Fraction(2, 25))


def test_a_generator_of_one_level_hears_quiet_speech_as_loud():
  np.testing.assert_allclose(windows(SAMPLES / 50, 'normalised'), windows(SAMPLES, 'normalised'), atol=1e-3)
  assert np.abs(windows(SAMPLES / 50, 'as_is') - windows(SAMPLES, 'as_is')).mean() > 0.5


def test_pauses_do_not_depend_on_the_level():
  samples = np.concatenate([SAMPLES, np.zeros(16000, np.float32), SAMPLES])
  loud, quiet = ([Speech(x, True).rests_at(Fraction(k, 25)) for k in range(75)] for x in (samples, samples / 50))
  assert loud == quiet and loud[35] and not loud[10]


def test_short_silences_are_no_pauses():
  rng = np.random.default_rng(0)
  level = np.repeat([1, 0.001, 1, 0.001, 1, 0.001], [8000, 16000, 8000, 3200, 8000, 8000])
  pauses = find_pauses(0.2 * level * rng.standard_normal(len(level)))
  begin, end = np.flatnonzero(np.diff(pauses.astype(int)))[:2] + 1
  assert abs(begin - 62) <= 1 and abs(end - 138) <= 1  # lips close after the sound, and part before it
  assert not pauses[150:230].any()  # a fifth of a second is no pause
  rests = is_pause(pauses, [Fraction(1), Fraction(1, 4), Fraction(100)])
  assert rests.tolist() == [True, False, True]


@pytest.mark.parametrize(('decibels', 'offset'), [(-50, 0), (0, 0), (-10, 0.05), (-45, -0.02)])
def test_neither_level_nor_offset_matters(decibels, offset):
  noise = np.random.default_rng(0).standard_normal(40000) / 5
  samples = np.repeat([1, 0.003, 1], [8000, 16000, 16000]) * noise
  pauses = find_pauses(10 ** (decibels / 20) * samples + offset)
  np.testing.assert_array_equal(pauses, find_pauses(samples))
  assert pauses[70:130].all()


def test_silence_is_one_pause_and_noise_is_none():
  assert find_pauses(np.zeros(16000)).all()
  assert not find_pauses(0.1 * np.random.default_rng(0).standard_normal(16000)).any()


def test_a_generator_that_hears_more_at_once_is_given_more_around_the_same_frames():
  samples = np.concatenate([SAMPLES, np.zeros(16000, np.float32), SAMPLES])
  times = [Fraction(k, 25) for k in range(75)]
  short, long = (Speech(samples, True, length=length)(times, Fraction(2, 25)) for length in (16, 80))
  np.testing.assert_array_equal(long[..., 32:48], short)
  assert (long[35] == -4).all()  # in a pause there is nothing but silence


SAID = [('', 0.21), ('M', 0.41), ('AA', 0.79)]


@pytest.mark.parametrize('kind', ['phones', 'visemes'])
def test_phones_that_are_told_are_not_recognised(kind, monkeypatch):
  monkeypatch.setattr(phones, 'recognise_phones', lambda samples: 1 / 0)
  heard = Speech(SAMPLES, False, kind, said=SAID)(TIMES, Fraction(0))[:, :, 0].argmax(1)  # at the times themselves
  names = ['', 'M', 'AA'] if kind == 'phones' else ['rest', 'p', 'a']
  columns = [(phones.PHONES if kind == 'phones' else VISEMES).index(name) for name in names]
  expected = [next((c for c, (_, end) in zip(columns, SAID, strict=True) if time < end), 0) for time in TIMES]
  np.testing.assert_array_equal(heard, expected)


def test_a_generator_of_mels_is_not_driven_by_visemes():
  with pytest.raises(UserError, match='hears phones or visemes, and this one hears mel') as caught:
    check_drive('mel')
  assert caught.value.as_flags().startswith('--drive') and '\n' not in str(caught.value)
  check_drive('phones')
  check_drive('visemes')
