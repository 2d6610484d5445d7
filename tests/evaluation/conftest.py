"""Clips, a generator that has hardly been trained, filmed videos, and a way to score a protocol."""

import numpy as np
import pytest
from videos import face_frames, write_mp4

from data_pipeline import corpora
from data_pipeline import input as data
from lpips_jax import pretrained
from lpips_jax.evaluation import scoring, summary

SECONDS = 1.2


@pytest.fixture(scope='session')
def clips(directory):
  return data.decode_clips(corpora.source('talking_faces/tiny', 'test', str(directory / 'data')), 32)


@pytest.fixture(scope='session')
def generator(trained_checkpoint):
  return pretrained.load(trained_checkpoint)


@pytest.fixture(scope='session')
def speakers():
  """Frames and sound of two people."""
  return [face_frames(number, SECONDS) for number in range(2)]


@pytest.fixture(scope='session')
def filmed(speakers, tmp_path_factory):
  """Two videos, and one without a face."""
  directory = tmp_path_factory.mktemp('filmed')
  for number, (frames, sound) in enumerate(speakers):
    write_mp4(directory / 'who' / f'{number}.mp4', frames, sound)
  nobody = [np.full_like(frame, 90) for frame in speakers[0][0]]
  write_mp4(directory / 'nobody.mp4', nobody, speakers[0][1])
  return directory


@pytest.fixture
def summarised(tmp_path):
  """Scores a protocol with scorers, and returns the summary."""

  def score(protocol, scorers):
    keys = {system: scoring.key_of(depends_on=depends_on) for system, depends_on in protocol.systems.items()}
    score_cache = scoring.ScoreCache(tmp_path)
    scoring.score_all(protocol.items, keys, scorers, score_cache, progress=False)
    scores = score_cache.select(keys, list(dict.fromkeys(item.name for item in protocol.items)))
    return summary.summarise(list(keys), scores, score_cache, {})

  return score
