"""Corpora by name: splits that share nobody, and errors for names that do not exist."""

import pytest

from data_pipeline import corpora
from data_pipeline.corpora.talking_faces.clips import SPLITS
from data_pipeline.corpora.talking_faces.oracle import true_frames
from lpips_jax.core.errors import UserError


def test_no_clip_or_speaker_is_in_two_splits(corpus):
  ids, speakers = [], []
  for split in SPLITS:
    source = corpora.source('talking_faces/tiny', split, str(corpus / 'data'))
    records = [source[i] for i in range(len(source))]
    ids += [record['id'] for record in records]
    speakers += {record['speaker'] for record in records}
  assert len(ids) == len(set(ids)) == 3 * 2 + 2 + 2
  assert len(speakers) == len(set(speakers)) == 3 + 2 + 2


def test_unknown_corpora_are_named(corpus):
  for name, problem in {'lrs9': "no corpus 'lrs9'", 'talking_faces/x': "no config 'x'"}.items():
    with pytest.raises(UserError, match=problem):
      corpora.source(name, 'train', str(corpus / 'data'))
  with pytest.raises(UserError, match='no split'):
    corpora.source('talking_faces/tiny', 'dev', str(corpus / 'data'))


def test_filmed_corpora_have_no_true_frames():
  assert corpora.dubbed_truth('talking_faces/quickstart') is true_frames
  assert corpora.dubbed_truth('lrs2') is None


def test_only_the_embedded_corpus_draws_fresh_speakers(corpus):
  with pytest.raises(UserError, match=r"seed draws new speakers, .*leave it out for 'lrs2'"):
    corpora.fresh_test_source('lrs2', 1, str(corpus))
