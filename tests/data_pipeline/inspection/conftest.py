"""The records that the tests of inspection read."""

import pytest

from data_pipeline import corpora


@pytest.fixture(scope='module')
def records(corpus):
  source = corpora.source('talking_faces/tiny', 'train', str(corpus / 'data'))
  return [source[i] for i in range(len(source))]
