"""Stores: names that are left out, errors that are final."""

import errno

import pytest
from gcsfs.retry import HttpError

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


def test_a_full_disk_of_this_machine_is_final():
  assert stores.is_final(OSError(errno.ENOSPC, 'No space left on device'))
  assert stores.is_final(OSError('Forbidden: bucket')) and not stores.is_final(OSError('came damaged'))
