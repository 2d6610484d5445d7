"""The build command, into buckets: the records of a local build, and nothing of what was there before."""

import numpy as np
import pytest
from builds import build_folder, files_of

from data_pipeline import corpora
from lpips_jax.storage import stores, transfer


def names_below(url):
  return [file.name for file in stores.files_below(url)]


@pytest.mark.slow
def test_a_bucket_gets_what_a_local_build_gets(gs_bucket, prepared, built):
  clips, data = f'{gs_bucket.url}/clips', f'{gs_bucket.url}/data'
  transfer.upload(prepared, clips)
  build_folder(clips, data, '--num_shards=4')
  assert set(names_below(data)) == files_of(built).keys()
  # Two local builds do not have the same bytes either: the order of features in a serialised record is left open.
  for split in ('train', 'val'):
    found, expected = corpora.source('folder', split, data), corpora.source('folder', split, str(built))
    assert len(found) == len(expected)
    for k in range(len(expected)):
      for name, value in expected[k].items():
        np.testing.assert_array_equal(found[k][name], value)

  before = stores.files_below(data)
  build_folder(clips, data, '--num_shards=2')  # it is there already
  assert stores.files_below(data) == before
  build_folder(clips, data, '--num_shards=2', '--overwrite')
  shards = [name for name in names_below(data) if 'array_record' in name]
  assert sorted(name.rpartition('-of-')[2] for name in shards) == ['00002'] * 4
  assert len(corpora.source('folder', 'train', data)) == 9
