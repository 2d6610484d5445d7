"""Corpora for all tests of the data pipeline: the tiny one, and one of prepared clips."""

from pathlib import Path

import pytest
from builds import build_folder

from data_pipeline import corpora
from data_pipeline.corpora.talking_faces.clips import clip_record
from data_pipeline.preparation import store
from lpips_jax.core.files import write_whole


@pytest.fixture(scope='session')
def corpus(tmp_path_factory) -> Path:
  """A directory whose `data` holds talking_faces/tiny."""
  directory = tmp_path_factory.mktemp('corpus')
  corpora.source('talking_faces/tiny', 'train', str(directory / 'data'))
  return directory


@pytest.fixture(scope='session')
def prepared(tmp_path_factory) -> Path:
  """Prepared clips: nine to train on, four to evaluate on."""
  directory = tmp_path_factory.mktemp('prepared') / 'clips'
  with store.working_in(directory, {'layout': 'folder'}):
    splits = {'train': [f'train-{k}' for k in range(9)], 'val': [f'val-{k}' for k in range(4)]}
    for split, names in splits.items():
      for k, name in enumerate(names):
        record = clip_record(0, split, k, 0, seconds=0.4, image_size=32) | {'id': name}
        store.write_clip_result(directory, store.ClipResult(name, [record], [{}], seconds=0.4))
    store.write_splits(directory, splits)
    write_whole(directory / store.FINISHED, 'clip,reason\n')
  return directory


@pytest.fixture(scope='session')
def built(tmp_path_factory, prepared) -> Path:
  """A data_dir with the corpus `folder` of the prepared clips, in four shard files."""
  directory = tmp_path_factory.mktemp('built') / 'data'
  build_folder(prepared, directory, '--num_shards=4')
  return directory
