"""Buckets on loopback: the emulators of Google Cloud Storage and of S3 that PyPI has, with faults on demand.

  python benchmarks/bucket_server.py gs      # prints its port, and serves a bucket until it is killed

The emulator of Google Cloud Storage ignores `ifGenerationMatch=0`, on which leases rely, does not read from the end of
an object, and loses a carriage return at an object's end: all three are mended here. It answers one request after the
other. A request to /fault?status=503&seconds=20 has all requests of the next seconds fail with a status,
/fault?delay=1&seconds=20 delays each, /fault?silent=1&seconds=60 leaves them without an answer, and /requests tells how
many there were.
"""

import io
import json
import re
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

BUCKET = 'bucket'
OBJECT = re.compile(r'(?:/download)?/storage/v1/b/([^/]+)/o/(.+)')


class Faults:
  """The fault that is asked for, and what was requested so far."""

  def __init__(self) -> None:
    self.requests: list[str] = []
    self._values: dict[str, float] = {}
    self._until = 0.0

  def set(self, query: dict[str, str]) -> None:
    self._values = {name: float(value) for name, value in query.items()}
    self._until = time.monotonic() + self._values['seconds']

  def answer(self, handler: Any) -> bool:
    """Answers a request as the fault has it, if there is one now; returns whether it is to be answered as usual."""
    if time.monotonic() > self._until:
      self.requests.append(f'{handler.command} {handler.path}')
      return True
    time.sleep(self._values.get('delay', 0))
    if self._values.get('silent'):
      time.sleep(max(0, self._until - time.monotonic()))
      return False
    if self._values.get('status'):
      handler.rfile.read(int(handler.headers.get('Content-Length', 0)))
      handler.send_error(int(self._values['status']))
      return False
    return True


def serve_gs() -> None:
  from gcp_storage_emulator import server
  from gcp_storage_emulator.exceptions import NotFound

  faults = Faults()

  class Handler(server.RequestHandler):
    rfile: Any

    def parse_request(self) -> bool:
      """Returns whether the request is to be answered as usual."""
      if not super().parse_request():
        return False
      url = urlparse(self.path)
      query = {name: values[0] for name, values in parse_qs(url.query).items()}
      if url.path == '/fault':
        faults.set(query)
      if url.path in ('/fault', '/requests'):
        return self._answer({'requests': faults.requests})
      if not faults.answer(self):
        return False
      _turn_suffix_into_range(self, url.path)
      return not (query.get('ifGenerationMatch') == '0' and 'upload_id' not in query and self._exists(query))

    def _answer(self, content: dict[str, Any]) -> bool:
      self.send_response(HTTPStatus.OK)
      self.end_headers()
      self.wfile.write(json.dumps(content).encode())
      return False

    def _exists(self, query: dict[str, str]) -> bool:
      """Returns whether the object that is to be created exists, and says so to the client."""
      body = self.rfile.read(int(self.headers['Content-Length']))
      self.rfile = io.BytesIO(body)
      name = query.get('name') or re.findall(rb'"name": ?"([^"]+)"', body)[0].decode()
      try:
        self.storage.get_file_obj(re.findall('/b/([^/]+)/o', self.path)[0], name)
      except NotFound:
        return False
      self.send_error(HTTPStatus.PRECONDITION_FAILED)
      return True

  server._read_data = _keeping_ends(server._read_data)
  server.RequestHandler = Handler
  emulator = server.create_server('127.0.0.1', 0, in_memory=True, default_bucket=BUCKET)
  emulator.start()
  print(emulator._api._httpd.server_port, flush=True)


def _keeping_ends(read_data: Callable[[Any, dict[str, Any]], Any]) -> Callable[[Any, dict[str, Any]], Any]:
  """Returns a reader of requests' bodies; `read_data` takes a carriage return before a boundary for the line's end."""

  def read(handler: Any, query: dict[str, Any]) -> Any:
    kind = handler.headers.get('Content-Type') or ''
    if not kind.startswith('multipart/related'):
      return read_data(handler, query)
    body = handler.rfile.read(int(handler.headers['Content-Length']))
    handler.rfile = io.BytesIO(body)
    return read_data(handler, query) | {'content': _last_part(body, kind)}

  return read


def _last_part(body: bytes, kind: str) -> bytes:
  """Returns the content of the last part of a body in parts; `kind` is its Content-Type."""
  boundary = b'--' + re.split('boundary="?([^";]+)', kind)[1].encode()
  newline = b'\r\n' if body.startswith(boundary + b'\r\n') else b'\n'
  parts = body.rpartition(newline + boundary + b'--')[0]
  return parts.rpartition(boundary + newline)[2].partition(2 * newline)[2]


def _turn_suffix_into_range(handler: Any, path: str) -> None:
  suffix, found = re.fullmatch(r'bytes=-(\d+)', handler.headers.get('Range', '')), OBJECT.fullmatch(path)
  if suffix and found:
    size = len(handler.storage.get_file(found[1], unquote(found[2])))
    del handler.headers['Range']
    handler.headers['Range'] = f'bytes={max(0, size - int(suffix[1]))}-{size - 1}'


def serve_s3() -> None:
  from moto.server import ThreadedMotoServer

  server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
  server.start()
  print(server.get_host_and_port()[1], flush=True)


if __name__ == '__main__':
  {'gs': serve_gs, 's3': serve_s3}[sys.argv[1]]()
  while True:
    time.sleep(60)
