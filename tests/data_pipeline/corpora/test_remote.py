"""Corpora in buckets: copied as far as they are read, drawn once, read in place; the records are the same."""

import json
import multiprocessing

import numpy as np
import pytest
from builds import files_of
from tensorflow_datasets.core import registered

from data_pipeline import corpora
from data_pipeline.corpora import Access
from data_pipeline.corpora.prepared import PreparedBuilder
from lpips_jax.core.errors import UserError
from lpips_jax.storage import staging, stores, transfer

NAME = f'folder/{PreparedBuilder.VERSION}/' + 'folder-{split}.array_record-{k:05d}-of-{n:05d}'


def assert_same(source, expected):
  assert len(source) == len(expected)
  for k in range(len(expected)):
    one, other = source[k], expected[k]
    assert one.keys() == other.keys()
    for name in one:
      np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def copied(url):
  return {name for name in files_of(staging.place_of(url)) if not name.rpartition('/')[2].startswith('.staged')}


def nothing_read(monkeypatch):
  monkeypatch.setattr(stores, 'get', lambda *_: pytest.fail('something was copied again'))


@pytest.mark.parametrize('kind', ['gs_bucket', 's3_bucket'])
def test_only_the_split_that_is_read_is_copied_and_only_once(kind, request, built, monkeypatch):
  url = request.getfixturevalue(kind).url + '/data'
  transfer.upload(built, url)
  for split in ('val', 'train'):
    source = corpora.source('folder', split, url)
    assert_same(source, corpora.source('folder', split, str(built)))
    assert ('train' in str(copied(url))) == (split == 'train')
  nothing_read(monkeypatch)
  assert_same(corpora.source('folder', 'train', url), source)


def test_a_process_copies_only_the_shards_that_it_reads(gs_bucket, built):
  url = f'{gs_bucket.url}/data'
  transfer.upload(built, url)
  share = corpora.source('folder', 'train', url, Access((1, 2)))
  shards = {name for name in copied(url) if 'array_record' in name}
  assert shards == {NAME.format(split='train', k=k, n=4) for k in (1, 3)}
  assert_same(share, corpora.source('folder', 'train', str(built), Access((1, 2))))


def test_the_version_is_the_one_that_tfds_would_choose_on_a_disk(gs_bucket, built, monkeypatch):
  # Where a test has imported the builder itself, TFDS chooses the builder's own version.
  monkeypatch.delitem(registered._DATASET_REGISTRY, 'folder', raising=False)
  url = f'{gs_bucket.url}/data'
  version = built / 'folder' / str(PreparedBuilder.VERSION)
  for name in ('2.0.0', '2.1.0', '10.0.0', '11.0.0'):
    transfer.upload(version, f'{url}/folder/{name}')
    info = json.loads((version / 'dataset_info.json').read_text()) | {'version': name}
    stores.write(f'{url}/folder/{name}/dataset_info.json', json.dumps(info).encode())
  stores.delete(f'{url}/folder/11.0.0/dataset_info.json')  # an upload that was cut short
  for asked, found in {'folder': '10.0.0', 'folder:2.0.0': '2.0.0', 'folder:2.*.*': '2.1.0'}.items():
    assert len(corpora.source(asked, 'val', url)) == 4
    records = {name for name in copied(url) if 'array_record' in name}
    assert any(name.startswith(f'folder/{found}/') for name in records)
    assert not any(name.startswith('folder/11.0.0/') for name in copied(url))
  for name in ('10.0.0', '2.1.0'):  # what is deleted in the bucket is no longer chosen here
    for file in stores.files_below(f'{url}/folder/{name}'):
      stores.delete(f'{url}/folder/{name}/{file.name}')
  corpora.source('folder', 'val', url)
  assert not any(name.startswith(('folder/10.', 'folder/2.1')) for name in copied(url))


def test_what_is_not_there_is_named_by_its_url_before_anything_is_copied(gs_bucket, built):
  url = f'{gs_bucket.url}/data'
  transfer.upload(built, url)
  with pytest.raises(UserError, match=f'^{url}/lrs9 does not exist'):
    corpora.source('lrs9', 'train', url)
  with pytest.raises(UserError, match=r"folder has no split 'dev'; there are train, val"):
    corpora.source('folder', 'dev', url)
  with pytest.raises(UserError, match=r'folder train has 4 shard files, and 5 processes need one each'):
    corpora.source('folder', 'train', url, Access((0, 5)))
  assert not any('array_record' in name for name in copied(url))


def draw(url):
  return len(corpora.source('talking_faces/tiny', 'train', url))


@pytest.mark.slow
def test_hosts_that_draw_the_embedded_corpus_at_once_leave_what_one_draws_on_a_disk(gs_bucket, corpus, monkeypatch):
  url = f'{gs_bucket.url}/data'
  with multiprocessing.get_context('spawn').Pool(2) as pool:
    assert pool.map(draw, [url, url]) == [6, 6]
  assert {file.name for file in stores.files_below(url)} == files_of(corpus / 'data').keys()
  monkeypatch.setattr(transfer, 'upload', lambda *_: pytest.fail('drawn again'))
  for split in ('train', 'val', 'test'):
    name = 'talking_faces/tiny'
    assert_same(corpora.source(name, split, url), corpora.source(name, split, str(corpus / 'data')))


def test_records_read_in_place_are_those_of_a_copy(gs_bucket, built, monkeypatch):
  monkeypatch.setenv('CLOUD_STORAGE_EMULATOR_ENDPOINT', gs_bucket.server)
  url = f'{gs_bucket.url}/data'
  transfer.upload(built, url)
  in_place = corpora.source('folder', 'train', url, Access(in_place=True))
  assert_same(in_place, corpora.source('folder', 'train', str(built)))
  assert not staging.place_of(url).exists()
  gs_bucket.fault(status=403, seconds=60)
  with pytest.raises(UserError, match=rf'^{url} cannot be read in place \(.*Permanent error'):
    in_place[0]
  gs_bucket.fault(seconds=0)
  stores.delete(f'{url}/{NAME.format(split="train", k=2, n=4)}')
  with pytest.raises(UserError, match=r'array_record-00002-of-00004 does not exist: build the corpus again'):
    corpora.source('folder', 'train', url, Access(in_place=True))


def test_s3_is_not_read_in_place(s3_bucket):
  with pytest.raises(UserError, match=r'^s3://.*: only gs:// is read in place'):
    corpora.source('folder', 'train', f'{s3_bucket.url}/data', Access(in_place=True))
