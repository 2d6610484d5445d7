"""Single files by path or URL: the same answers from a directory and a bucket."""

import pytest

from lpips_jax.storage import files, stores
from lpips_jax.storage.places import join


@pytest.fixture(params=['here', 'gs_bucket', 's3_bucket'])
def place(request, tmp_path):
  return tmp_path / 'here' if request.param == 'here' else request.getfixturevalue(request.param).url


def test_a_file_comes_back_whole_or_in_part_until_it_is_deleted(place):
  path = join(place, 'a/b/text')
  assert files.read(path) is None and files.read(path, 4) is None
  files.write(path, 'häh\n')
  assert (
    files.read(path) == 'häh\n'.encode() and files.read(path, 2) == b'h\xc3' and files.read(path, 99) == b'h\xc3\xa4h\n'
  )
  files.write(path, b'new')
  assert files.read(path) == b'new'
  files.write(path, b'')
  assert files.read(path) == b''
  files.delete(path)
  files.delete(path)
  assert files.read(path) is None


def test_objects_are_listed_with_their_sizes(gs_bucket):
  assert files.sizes_below(gs_bucket.url) == {}
  for name in ('x', 'y/z', 'y/empty'):
    stores.write(f'{gs_bucket.url}/{name}', b'' if name == 'y/empty' else name.encode())
  assert files.sizes_below(gs_bucket.url) == {'x': 1, 'y/empty': 0, 'y/z': 3}


def test_a_store_that_fails_for_a_while_is_asked_again(gs_bucket, monkeypatch):
  answers = [OSError('503'), OSError('503'), b'content']

  def cat_file(*_, **__):
    answer = answers.pop(0)
    if isinstance(answer, Exception):
      raise answer
    return answer

  monkeypatch.setattr(stores, 'FIRST_PAUSE', 0.01)
  monkeypatch.setattr(stores.file_system(gs_bucket.url), 'cat_file', cat_file)
  assert files.read(f'{gs_bucket.url}/x') == b'content' and not answers
