"""Starts the servers of `bucket_server.py`, and points the clients of this process and of others at them."""

import contextlib
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bucket_server import BUCKET


class Bucket(NamedTuple):
  """A bucket on loopback.

  Attributes:
    url: of a directory in it, such as 'gs://bucket'.
    environment: what its clients need.
    server: 'http://127.0.0.1:port'.
  """

  url: str
  environment: dict[str, str]
  server: str

  def for_copies(self, directory: Path) -> dict[str, str]:
    """Returns the environment for clients that keep their copies in a directory."""
    return self.environment | {name: str(directory / name.lower()) for name in ('LIPSYNC_STAGING', 'LIPSYNC_WORK')}

  def for_test(self, directory: Path, monkeypatch: Any) -> 'Bucket':
    """Returns a place of its own in this bucket, with the environment set until the end of a test."""
    own = self.for_copies(directory)
    for name, value in own.items():
      monkeypatch.setenv(name, value)
    return self._replace(url=f'{self.url}/{secrets.token_hex(4)}', environment=own)

  def fault(self, **values: float) -> None:
    """Has requests fail: see `bucket_server`."""
    query = '&'.join(f'{name}={value}' for name, value in values.items())
    with contextlib.suppress(OSError):
      urllib.request.urlopen(f'{self.server}/fault?{query}', timeout=5).read()


@contextlib.contextmanager
def bucket(scheme: str) -> Iterator[Bucket]:
  """Serves an empty bucket of a scheme, 'gs' or 's3', from another process."""
  line = [sys.executable, str(Path(__file__).with_name('bucket_server.py')), scheme]
  with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
    try:
      assert process.stdout
      server = f'http://127.0.0.1:{int(process.stdout.readline())}'
      found = Bucket(f'{scheme}://{BUCKET}', environment_of(scheme, server), server)
      if scheme == 's3':
        make_s3_bucket(found.environment)
      yield found
    finally:
      process.kill()


def environment_of(scheme: str, server: str) -> dict[str, str]:
  if scheme == 'gs':
    return {'STORAGE_EMULATOR_HOST': server, 'CLOUD_STORAGE_EMULATOR_ENDPOINT': server}  # of gcsfs; of array_record
  keys = {'AWS_ACCESS_KEY_ID': 'test', 'AWS_SECRET_ACCESS_KEY': 'test', 'AWS_DEFAULT_REGION': 'us-east-1'}
  return keys | {'AWS_ENDPOINT_URL': server}


def make_s3_bucket(environment: dict[str, str]) -> None:
  import s3fs

  keys = {'key': environment['AWS_ACCESS_KEY_ID'], 'secret': environment['AWS_SECRET_ACCESS_KEY']}
  s3fs.S3FileSystem(endpoint_url=environment['AWS_ENDPOINT_URL'], skip_instance_cache=True, **keys).mkdir(BUCKET)


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
  """Sets variables of this process."""
  before = {name: os.environ.get(name) for name in values}
  os.environ.update(values)
  try:
    yield
  finally:
    for name, value in before.items():
      os.environ.pop(name, None) if value is None else os.environ.update({name: value})
