"""Speech that the tests of articulation and voice share."""

import numpy as np
import pytest

from data_pipeline.corpora.talking_faces.articulation import articulate
from data_pipeline.corpora.talking_faces.voice import Voice, speak

VOICE = Voice(pitch=140, intonation=0.2, tract=1.0, breath=0.02, level=0.1, hiss=3e-4)


@pytest.fixture(scope='session')
def speech():
  """Twenty seconds of articulation and their sound."""
  articulation = articulate(np.random.default_rng(3), seconds=20)
  return articulation, speak(articulation, VOICE, np.random.default_rng(4)) / 32768
