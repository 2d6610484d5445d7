import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.storage import stores, transfer


@pytest.fixture(params=['gs_bucket', 's3_bucket'])
def url(request) -> str:
  return request.getfixturevalue(request.param).url


@pytest.fixture
def dataset(tmp_path):
  directory = tmp_path / 'dataset'
  for name in ('1.0.0/dataset_info.json', '1.0.0/features.json', '1.0.0/z.array_record-00000-of-00001'):
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(name)
  return directory


def test_what_makes_a_directory_count_is_uploaded_last(url, dataset, monkeypatch):
  order, put = [], stores.put
  monkeypatch.setattr(stores, 'put', lambda path, url: (order.append(path.name), put(path, url)))
  transfer.upload(dataset, f'{url}/data')
  assert len(order) == 3 and order[-1] == 'dataset_info.json'
  transfer.download(f'{url}/data', stores.files_below(f'{url}/data'), dataset.with_name('copy'))
  for path in dataset.rglob('*.*'):
    if path.is_file():
      assert (dataset.with_name('copy') / path.relative_to(dataset)).read_bytes() == path.read_bytes()


def test_objects_that_are_there_may_be_kept(url, dataset):
  stores.write(f'{url}/data/1.0.0/features.json', b'first')
  transfer.upload(dataset, f'{url}/data', replace=False)
  assert stores.read(f'{url}/data/1.0.0/features.json') == b'first'
  assert stores.read(f'{url}/data/1.0.0/dataset_info.json') == b'1.0.0/dataset_info.json'
  transfer.upload(dataset, f'{url}/data')
  assert stores.read(f'{url}/data/1.0.0/features.json') == b'1.0.0/features.json'


def test_what_comes_damaged_is_copied_again_and_never_kept(url, tmp_path, monkeypatch):
  stores.write(f'{url}/data', b'whole')
  found, get, damaged = stores.info(f'{url}/data'), stores.get, []

  def get_damaged_once(url, path):
    get(url, path)
    if not damaged:
      path.write_bytes(b'wrong')  # of the same size
      damaged.append(path)

  monkeypatch.setattr(transfer, 'SMALL', 0)
  monkeypatch.setattr(stores, 'get', get_damaged_once)
  monkeypatch.setattr(stores, 'FIRST_PAUSE', 0.01)
  transfer.download(url, [stores.RemoteFile('data', found.size, found.tag)], tmp_path / 'copy')
  assert damaged and [path.name for path in (tmp_path / 'copy').iterdir()] == ['data']
  assert (tmp_path / 'copy' / 'data').read_bytes() == b'whole'


def test_what_is_replaced_after_it_was_listed_comes_as_it_is_now(url, tmp_path, monkeypatch):
  monkeypatch.setattr(stores, 'FIRST_PAUSE', 0.01)
  stores.write(f'{url}/log', b'1\n')
  listed, copied = stores.files_below(url), []
  stores.write(f'{url}/log', b'1\n2\n')
  transfer.download(url, listed, tmp_path / 'copy', copied.append)
  assert (tmp_path / 'copy' / 'log').read_bytes() == b'1\n2\n'
  assert copied == stores.files_below(url)


def test_an_etag_that_only_looks_like_an_md5_is_none(s3_bucket, tmp_path):
  system, url = stores.file_system(s3_bucket.url), s3_bucket.url
  system.pipe_file(f'{url}/data', b'secret', ServerSideEncryption='aws:kms')
  stores.write(f'{url}/plain', b'public')
  assert not stores.has_md5(f'{url}/data') and stores.has_md5(f'{url}/plain')
  transfer.download(url, [stores.RemoteFile('data', 6, f'md5:{0:032x}')], tmp_path / 'copy')
  assert (tmp_path / 'copy' / 'data').read_bytes() == b'secret'


@pytest.mark.parametrize('url', ['gs://bucket', 'gs://bucket/', 'gs://bucket/run/'])
def test_an_output_needs_a_name(url):
  refused = pytest.raises(UserError, match=r'gs://bucket/?(run/)? names no file: write gs://bucket/(run/)?NAME$')
  with refused, transfer.local_output(url):
    pass


def test_an_output_becomes_an_object_if_all_goes_well(url):
  with transfer.local_output(f'{url}/a.txt') as path:
    path.write_text('whole')
  with pytest.raises(RuntimeError), transfer.local_output(f'{url}/b.txt') as path:
    path.write_text('half')
    raise RuntimeError
  assert [file.name for file in stores.files_below(url)] == ['a.txt']
  with transfer.local_input(f'{url}/a.txt') as path:
    assert path.read_text() == 'whole'
  assert not path.exists()
  with pytest.raises(UserError, match=r'does not exist, or is no file$'), transfer.local_input(f'{url}/none'):
    pass
