"""Networks hear clips at the level that they were trained for."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from lpips_jax.audio.loudness import mel_of
from lpips_jax.audio.mel import melspectrogram
from lpips_jax.audio.phones import PHONES, phone_track, recognise_phones
from lpips_jax.evaluation import Clip
from lpips_jax.evaluation.candidates import Candidate


def config(**data):
  return ConfigDict({'model': {}, 'data': data})


def test_a_network_hears_what_it_was_trained_on():
  audio = np.int16(500 * np.random.default_rng(0).standard_normal(3200))
  frames = np.zeros((5, 8, 8, 3), np.uint8)
  for one in (Clip('c', 's', frames, mel_of(audio), audio), Candidate(frames, mel_of(audio), audio)):
    np.testing.assert_array_equal(one.heard_by(config(level='normalised')), one.mel)
    for others in (config(level='as_is'), config()):
      np.testing.assert_array_equal(one.heard_by(others), melspectrogram(audio / np.float32(32768)))


def test_of_phones_a_network_hears_those_that_are_known_or_are_in_the_sound():
  audio = np.int16(500 * np.random.default_rng(0).standard_normal(3200))
  frames, mel = np.zeros((5, 8, 8, 3), np.uint8), mel_of(audio)
  said = np.full(len(mel), PHONES.index('AA'), np.int8)
  of_phones = ConfigDict({'model': {'speech': 'phones'}, 'data': {}})
  known, unknown = (Candidate(frames, mel, audio, phones=phones) for phones in (said, None))
  np.testing.assert_array_equal(known.heard_by(of_phones), phone_track(said, mel))
  np.testing.assert_array_equal(unknown.heard_by(of_phones), phone_track(recognise_phones(audio / 32768), mel))


def test_frames_are_usable_as_far_as_there_is_sound():
  frames, mel = np.zeros((5, 8, 8, 3), np.uint8), np.zeros((16, 80), np.float32)
  assert Candidate(frames, mel).usable_frames == 5
  assert Candidate(frames, mel, np.zeros(4 * 640 - 1, np.int16)).usable_frames == 3
  assert Candidate(frames, mel, np.zeros(9 * 640, np.int16)).usable_frames == 5


def test_phones_need_phones_or_sound():
  of_phones = ConfigDict({'model': {'speech': 'phones'}, 'data': {}})
  with pytest.raises(ValueError, match='or the sound'):
    Candidate(np.zeros((5, 8, 8, 3), np.uint8), np.zeros((16, 80), np.float32)).heard_by(of_phones)
