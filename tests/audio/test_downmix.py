"""Everybody in a track of several channels is heard, whatever the wiring, and no quieter for silent channels."""

import numpy as np
import pytest

from lpips_jax.audio.downmix import Downmixer

RNG = np.random.default_rng(0)
SPEECH = RNG.standard_normal(16_000).astype(np.float32)
OTHER = RNG.standard_normal(16_000).astype(np.float32)
HUM = 5 * np.sin(np.arange(16_000) / 60).astype(np.float32)
SURROUND = ['FL', 'FR', 'FC', 'LFE', 'BL', 'BR']
STEREO = ['FL', 'FR']


def heard(channels, names, size=1000):
  mixer, channels = Downmixer(), np.array(channels, np.float32)
  for first in range(0, channels.shape[1], size):
    mixer.hear(channels[:, first : first + size], names)
  return mixer.weights() @ channels


NOTHING = 0 * SPEECH


@pytest.mark.parametrize(
  ('channels', 'names', 'expected'),
  [
    ([SPEECH], ['FC'], SPEECH),
    ([SPEECH, SPEECH], STEREO, SPEECH),
    ([SPEECH, NOTHING], STEREO, SPEECH / 2),
    ([SPEECH, OTHER], STEREO, (SPEECH + OTHER) / 2),
    ([SPEECH, -SPEECH], STEREO, SPEECH),
    ([0.5 * SPEECH, -SPEECH], STEREO, -SPEECH),
    ([SPEECH + 0.3, -0.9 * SPEECH + 0.3], STEREO, SPEECH + 0.3),
    ([NOTHING, NOTHING, SPEECH, NOTHING, NOTHING, NOTHING], SURROUND, SPEECH),
    ([NOTHING, NOTHING, SPEECH, HUM, NOTHING, NOTHING], SURROUND, SPEECH),
    ([SPEECH] * 3 + [NOTHING] + [SPEECH] * 2, SURROUND, SPEECH),
    ([NOTHING, NOTHING], STEREO, NOTHING),
    ([NOTHING, NOTHING, NOTHING, HUM, NOTHING, NOTHING], SURROUND, HUM / 6),
  ],
)
def test_a_track_of_several_channels_becomes_one(channels, names, expected):
  np.testing.assert_allclose(heard(channels, names), expected, atol=1e-4)


def test_several_people_with_a_microphone_each_are_all_heard():
  channels = np.zeros((4, 16_000), np.float32)
  for k in range(4):
    channels[k, 4000 * k : 4000 * (k + 1)] = SPEECH[:4000]
  together = heard(channels, ['FL', 'FR', 'BL', 'BR'])
  assert all(np.abs(together[4000 * k : 4000 * (k + 1)]).mean() > 0.1 for k in range(4))


def test_channels_that_cancel_one_another_for_a_while_only():
  left, right = np.concatenate([SPEECH, SPEECH]), np.concatenate([SPEECH, -SPEECH])
  np.testing.assert_allclose(np.abs(heard([left, right], STEREO)), np.abs(left), atol=1e-4)


def test_a_track_that_was_not_heard_has_no_weights():
  with pytest.raises(ValueError, match='heard before'):
    Downmixer().weights()
