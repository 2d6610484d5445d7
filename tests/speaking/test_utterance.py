"""Utterances as WAV files."""

import wave

import numpy as np

from lpips_jax.speaking.utterance import Utterance


def test_an_utterance_is_written_at_its_own_rate(tmp_path):
  samples = np.random.default_rng(0).integers(-32768, 32768, 500).astype(np.int16)
  Utterance(samples, 22050, (), 'noise').write(tmp_path / 'u.wav')
  with wave.open(str(tmp_path / 'u.wav')) as file:
    assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22050)
    np.testing.assert_array_equal(np.frombuffer(file.readframes(1000), '<i2'), samples)
