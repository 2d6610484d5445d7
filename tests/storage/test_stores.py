"""Stores: names that are left out, errors that are final."""

import errno
import json

import pytest
from gcsfs.retry import HttpError

from lpips_jax.core.errors import UserError
from lpips_jax.storage import stores


def test_names_that_no_file_can_have_are_left_out(s3_bucket):
  bucket, _, directory = s3_bucket.url.removeprefix('s3://').partition('/')
  for name in ('a/b', '/etc/x', '../x', 'a/../x', './x'):
    stores.file_system(s3_bucket.url).call_s3('put_object', Bucket=bucket, Key=f'{directory}/{name}')
  assert [file.name for file in stores.files_below(s3_bucket.url)] == ['a/b']


@pytest.mark.parametrize(
  'status, final', [(400, True), (401, True), (416, True), (408, False), (429, False), (503, False)]
)
def test_errors_of_clients_are_final(status, final):
  assert stores.is_final(HttpError({'code': status, 'message': 'no'})) == final


def test_bad_names_and_endpoints_are_final(s3_bucket):
  refused = pytest.raises(UserError, match=r'^s3://b d!/run cannot be read \(ParamValidationError.*check its name')
  with refused, stores.explained('s3://b d!/run', 'read'):
    stores.persistently(lambda: stores.files_below('s3://b d!/run'), 'run', patience=60)
  assert stores.is_final(ValueError('Invalid endpoint: 127.0.0.1:1'))
  assert not stores.is_final(json.JSONDecodeError('cut', '', 0))


def test_a_full_disk_of_this_machine_is_final():
  assert stores.is_final(OSError(errno.ENOSPC, 'No space left on device'))
  with pytest.raises(UserError, match=r'is full: make room$'), stores.explained('gs://b/x', 'read'):
    raise OSError(errno.ENOSPC, 'No space left on device')
  assert stores.is_final(OSError('Forbidden: bucket')) and not stores.is_final(OSError('came damaged'))
