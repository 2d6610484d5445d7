"""Speech reaches the generator at the level that it was trained for."""

from fractions import Fraction

import numpy as np

from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax.dubbing.speech import Speech

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
