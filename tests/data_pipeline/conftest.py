"""The tiny corpus, drawn once for all tests of the data pipeline."""

from pathlib import Path

import pytest

from data_pipeline import corpora


@pytest.fixture(scope='session')
def corpus(tmp_path_factory) -> Path:
  """A directory whose `data` holds talking_faces/tiny."""
  directory = tmp_path_factory.mktemp('corpus')
  corpora.source('talking_faces/tiny', 'train', str(directory / 'data'))
  return directory
