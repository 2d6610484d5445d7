"""Buckets on loopback: the emulators of Google Cloud Storage and of S3 that PyPI has, with faults on demand.

  python benchmarks/bucket_server.py gs      # prints its port, and serves a bucket until it is killed

The emulator of Google Cloud Storage ignores `ifGenerationMatch=0`, on which leases rely, and does not read from the end
of an object: both are added here. It answers one request after the other. A request to /fault?status=503&seconds=20 has
all requests of the next seconds fail with a status, /fault?delay=1&seconds=20 delays each, /fault?silent=1&seconds=60
leaves them without an answer, and /requests tells how many there were.
"""

import io
import json
import re
import sys
import time
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

BUCKET = 'bucket'
OBJECT = re.compile(r'(?:/download)?/storage/v1/b/([^/]+)/o/(.+)')


def serve_gs() -> None:
  from gcp_storage_emulator import server
  from gcp_storage_emulator.exceptions import NotFound

  fault: dict[str, float] = {}
  requests: list[str] = []

  class Handler(server.RequestHandler):
    rfile: Any

    def parse_request(self) -> bool:
      """Returns whether the request is to be answered as usual."""
      if not super().parse_request():
        return False
      url = urlparse(self.path)
      query = {name: values[0] for name, values in parse_qs(url.query).items()}
      if url.path == '/fault':
        fault.clear()
        fault.update({name: float(value) for name, value in query.items()})
        fault['until'] = time.monotonic() + fault['seconds']
        return self._answer({})
      if url.path == '/requests':
        return self._answer({'requests': requests})
      if time.monotonic() < fault.get('until', 0):
        return self._fail()
      requests.append(f'{self.command} {self.path}')
      self._turn_suffix_into_range(url.path)
      return not (query.get('ifGenerationMatch') == '0' and 'upload_id' not in query and self._exists(query))

    def _answer(self, content: dict[str, Any]) -> bool:
      self.send_response(HTTPStatus.OK)
      self.end_headers()
      self.wfile.write(json.dumps(content).encode())
      return False

    def _fail(self) -> bool:
      time.sleep(fault.get('delay', 0))
      if fault.get('silent'):
        time.sleep(max(0, fault['until'] - time.monotonic()))
        return False
      if fault.get('status'):
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.send_error(int(fault['status']))
        return False
      return True

    def _exists(self, query: dict[str, str]) -> bool:
      """Returns whether the object that is to be created exists, and says so to the client."""
      body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
      self.rfile = io.BytesIO(body)
      name = query.get('name') or re.findall(rb'"name": ?"([^"]+)"', body)[0].decode()
      try:
        self.storage.get_file_obj(BUCKET, name)
      except NotFound:
        return False
      self.send_error(HTTPStatus.PRECONDITION_FAILED)
      return True

    def _turn_suffix_into_range(self, path: str) -> None:
      suffix, found = re.fullmatch(r'bytes=-(\d+)', self.headers.get('Range', '')), OBJECT.fullmatch(path)
      if suffix and found:
        size = len(self.storage.get_file(found[1], unquote(found[2])))
        del self.headers['Range']
        self.headers['Range'] = f'bytes={max(0, size - int(suffix[1]))}-{size - 1}'

  server.RequestHandler = Handler
  emulator = server.create_server('127.0.0.1', 0, in_memory=True, default_bucket=BUCKET)
  emulator.start()
  print(emulator._api._httpd.server_port, flush=True)


def serve_s3() -> None:
  from moto.server import ThreadedMotoServer

  server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
  server.start()
  print(server.get_host_and_port()[1], flush=True)


if __name__ == '__main__':
  {'gs': serve_gs, 's3': serve_s3}[sys.argv[1]]()
  while True:
    time.sleep(60)
