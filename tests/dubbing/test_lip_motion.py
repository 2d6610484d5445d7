"""Lip motion: a face fits its own sound better than another's, and than its own at another time."""

import numpy as np
import pytest
from networks import random_network

from data_pipeline.corpora.talking_faces.articulation import CONSONANTS, HEARD_AS, VOWELS
from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.audio.phones import PHONES
from lpips_jax.dubbing.lip_motion import CROP_SIDE, LAGS, OPENINGS, evidence, hear, see, stillness

STEPS = 75


@pytest.fixture(scope='module')
def clips():
  drawn = [draw_clip(12, 'test', k, 0, STEPS / 25) for k in range(2)]
  return [(np.stack(list(clip.crops(CROP_SIDE))), clip.audio / np.float32(32768)) for clip in drawn]


def worth(crops, heard, expert=None):
  return evidence([see(crops, 0, heard, expert)], heard, STEPS).sum(1).max()


def test_lips_fit_their_own_sound(clips):
  for (crops, sound), (others, _) in (clips, clips[::-1]):
    heard = hear(sound, STEPS, None)
    own = worth(crops, heard)
    assert own > 5 and own > worth(others, heard) + 3 and own > worth(np.roll(crops, 15, axis=0), heard) + 3


def test_late_sound_is_found_at_its_lag(clips):
  crops, sound = clips[0]
  found = [
    evidence([see(crops, 0, heard, None)], heard, STEPS).sum(1).argmax()
    for heard in (hear(np.pad(sound, (640 * late, 0)), STEPS, None) for late in (0, 2))
  ]
  assert LAGS[found[1]] - LAGS[found[0]] == 2


def test_pieces_make_a_whole_and_nobody_is_seen_outside_of_them(clips):
  crops, sound = clips[0]
  heard = hear(sound, STEPS, None)
  found = evidence([see(crops[:30], 0, heard, None), see(crops[40:], 40, heard, None)], heard, STEPS)
  assert found.shape == (len(LAGS), STEPS)
  np.testing.assert_array_equal(np.flatnonzero(np.isnan(found).any(0)), np.arange(30, 40))


@pytest.mark.parametrize('speech', ['mel', 'phones'])
def test_an_expert_adds_its_evidence(clips, speech):
  crops, sound = clips[0]
  expert = random_network('sync_expert', speech=speech)
  heard = hear(sound, STEPS, expert)
  seen = see(crops, 0, heard, expert)
  assert all(each.shape[0] == STEPS for each in seen.embeddings)
  assert abs(worth(crops, heard, expert) - worth(crops, heard)) > 1e-6


def test_lips_that_rest_speak_less(clips):
  crops, sound = clips[0]
  heard = hear(sound, STEPS, None)
  still = np.repeat(crops[:1], STEPS, axis=0)
  found = stillness([[see(crops, 0, heard, None)], [see(still, 0, heard, None)]], STEPS)
  assert found.max() <= 0 and found[1].mean() < 2 * found[0].mean() - 0.05


def test_openings_are_those_of_the_corpus():
  drawn = {}
  for name, phoneme in (VOWELS | CONSONANTS).items():
    for phone in HEARD_AS.get(name, (name.upper(),)):
      drawn[phone] = max(phoneme.opening, OPENINGS[''])
  assert set(OPENINGS) == set(PHONES) and {phone: OPENINGS[phone] for phone in drawn} == drawn
