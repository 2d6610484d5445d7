"""A page in a process of its own, and programs that use it over HTTP."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.commands import ROOT

MAX_SECONDS = 120.0  # for one answer


class PageServer:
  """Runs app.py with a checkpoint; use it as a context manager.

  Args:
    directory: for its temporary files and its log.
    checkpoint: a generator's.
    flags: further flags of app.py.

  Attributes:
    root: the folder of its uploads and results.
    log: what it has written.
    seconds_to_start: from the command until the page was there.
    process: the process.
  """

  def __init__(self, directory: Path, checkpoint: Path, *flags: str) -> None:
    temporary = directory / 'tmp'
    temporary.mkdir()
    self.log = directory / 'log.txt'
    line = [
      sys.executable,
      str(ROOT / 'app.py'),
      f'--checkpoint={checkpoint}',
      '--port=0',
      '--detector=cascade',
      *flags,
    ]
    environment = os.environ | {'TMPDIR': str(temporary), 'PYTHONPATH': str(ROOT)}
    begun = time.monotonic()
    with self.log.open('w') as log:
      self._popen = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=log, stderr=log)
    while (found := re.search(r'http://127\.0\.0\.1:(\d+)', self.log.read_text())) is None:
      if self._popen.poll() is not None:
        raise RuntimeError(self.log.read_text())
      time.sleep(0.1)
    self.seconds_to_start = time.monotonic() - begun
    self.port = int(found[1])
    [self.root] = temporary.glob('lpips-jax-page-*')
    self.process = psutil.Process(self._popen.pid)

  def __enter__(self) -> 'PageServer':
    return self

  def __exit__(self, *_: object) -> None:
    self._popen.send_signal(signal.SIGTERM)
    self._popen.wait(60)

  def kept(self, folder: str) -> list[Path]:
    """Returns the files in `uploads` or `results` that are not empty."""
    return [path for path in (self.root / folder).rglob('*') if path.is_file() and path.stat().st_size]

  def upload(self, content: bytes, name: str) -> dict[str, Any]:
    """Uploads a file under a name, which is sent as it is; returns it as calls name it, or raises `Refused`."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode('utf-8', 'surrogateescape') + content + f'\r\n--{boundary}--\r\n'.encode()
    answer = self._post('upload', body, f'multipart/form-data; boundary={boundary}')
    return named(json.loads(answer)[0])

  def call(self, endpoint: str, **given: object) -> Iterator[list[Any]]:
    """Calls an endpoint, and yields its outputs as they come; raises `Refused` with its line. Closing it leaves."""
    answer = self._post(f'call/v2/{endpoint}', json.dumps(given).encode(), 'application/json')
    connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=MAX_SECONDS)
    with contextlib.closing(connection):
      connection.request('GET', f'/gradio_api/call/{endpoint}/{json.loads(answer)["event_id"]}')
      event = ''
      for line in connection.getresponse():
        key, _, value = line.decode().partition(': ')
        if key == 'event':
          event = value.strip()
        elif key == 'data' and event == 'error':
          raise Refused(str((json.loads(value) or {}).get('error')))
        elif key == 'data' and event in ('generating', 'complete'):
          yield json.loads(value)

  def fetch(self, path: str) -> int:
    """Returns the status of the answer to a request for a file."""
    connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=MAX_SECONDS)
    with contextlib.closing(connection):
      connection.request('GET', f'/gradio_api/file={path}')
      return connection.getresponse().status

  def _post(self, path: str, body: bytes, kind: str) -> bytes:
    request = urllib.request.Request(f'http://127.0.0.1:{self.port}/gradio_api/{path}', body, {'Content-Type': kind})
    try:
      with urllib.request.urlopen(request, timeout=MAX_SECONDS) as answer:
        return answer.read()
    except urllib.error.HTTPError as error:
      raise Refused(f'{error.code} {error.read().decode()}') from error


class Refused(Exception):
  """A refusal of the page: its line."""


def named(path: str) -> dict[str, Any]:
  """Returns a path as calls name a file."""
  return {'path': path, 'meta': {'_type': 'gradio.FileData'}}


def last(outputs: Iterator[list[Any]]) -> list[Any]:
  """Waits for the last outputs of a call."""
  return [*outputs][-1]
