"""The forms of speech are laid out alike, and each has an encoder."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax.audio import phones
from lpips_jax.audio.condition import CONDITIONS, level_of, phones_for, silence, speech_of
from lpips_jax.models.audio_encoder import ENCODERS

RNG = np.random.default_rng(0)
MEL = RNG.uniform(-4, 4, (30, 80)).astype(np.float32)
PHONES = RNG.integers(0, 40, 30).astype(np.int8)


def test_every_form_has_an_encoder():
  assert list(CONDITIONS) == list(ENCODERS) == ['mel', 'phones', 'visemes']


@pytest.mark.parametrize('speech', CONDITIONS)
def test_tracks_and_silence_have_the_shape_of_a_mel_and_stay_in_range(speech):
  condition = CONDITIONS[speech]
  quiet = silence(speech, 30)
  track = condition.track(PHONES if condition.of_phones else None, MEL)
  for rows in (track[:], quiet):
    assert rows.shape == (30, 80) and rows.dtype == np.float32
    assert condition.range[0] <= rows.min() and rows.max() <= condition.range[1]
  np.testing.assert_array_equal(condition.track(np.zeros(30, np.int8), np.full((30, 80), -4.0, np.float32))[:], quiet)


def test_mels_and_phones_are_as_they_ever_were():
  assert CONDITIONS['mel'].track(None, MEL) is MEL
  np.testing.assert_array_equal(CONDITIONS['phones'].track(PHONES, MEL)[:], phones.phone_track(PHONES, MEL))


def test_true_sounds_go_before_phones_for_visemes_alone():
  said = ['', 'a'], np.array([20, 30])
  for speech in CONDITIONS:
    changed = (phones_for(speech, PHONES, *said) != PHONES).any()
    assert changed == (speech == 'visemes')
  assert phones_for('visemes', PHONES) is PHONES


def test_networks_that_do_not_say_hear_mels_at_the_level_of_their_data():
  data = ConfigDict({'level': 'as_is'})
  assert speech_of(ConfigDict({'name': 'wav2lip'})) == 'mel'
  levels = [level_of(ConfigDict({'speech': speech}), data) for speech in CONDITIONS]
  assert levels == ['as_is', 'normalised', 'normalised'] and level_of(ConfigDict(), None) == 'as_is'
