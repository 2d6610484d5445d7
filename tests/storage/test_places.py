from pathlib import Path

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.storage import places


@pytest.mark.parametrize('path', ['gs://bucket/run', 's3://bucket/a b/c=d', 'gs://bucket'])
def test_urls_of_buckets(path):
  assert places.is_remote(path)


@pytest.mark.parametrize('path', ['runs/demo', '/runs', Path('runs'), 'C:/runs', 'a:b', 'NAME=runs', '~/runs', ''])
def test_paths_of_this_machine(path):
  assert not places.is_remote(path)


@pytest.mark.parametrize(
  ('path', 'problem'),
  [
    ('hdfs://a/b', 'gs:// and s3:// are known here'),
    ('https://storage.googleapis.com/b/o', 'gs:// and s3:// are known here'),
    ('gs:/bucket/run', 'write gs://BUCKET/PATH'),
    ('gs:bucket/run', 'write gs://BUCKET/PATH'),  # TensorBoard's writer would take it for a bucket
    (Path('gs://bucket/run'), 'write gs://BUCKET/PATH'),
    ('GS://bucket/run', 'write gs://BUCKET/PATH'),
    ('gs://', 'write gs://BUCKET/PATH'),
    ('s3:///run', 'write s3://BUCKET/PATH'),
    ('gs://bucket/run/../other', 'write the whole URL'),
    ('gs://bucket/é' + 100 * 'é', 'a name of more than 200 bytes'),
  ],
)
def test_what_might_be_misread_is_refused(path, problem):
  with pytest.raises(UserError, match=problem):
    places.is_remote(path)


def test_what_must_be_here_says_so():
  places.require_local(c2pa_key='key.pem', c2pa_cert=None)
  with pytest.raises(UserError, match=r'^c2pa_key=gs://b/k must be on this machine: copy it here first$') as caught:
    places.require_local(c2pa_key='gs://b/k')
  assert caught.value.as_flags().startswith('--c2pa_key=')


def test_names_in_directories_of_both_kinds():
  assert (places.join('gs://bucket/a/', 'b'), places.join('a', 'b')) == ('gs://bucket/a/b', Path('a/b'))
