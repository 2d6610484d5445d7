"""Buckets on loopback: the emulators of Google Cloud Storage and of S3 that PyPI has, with faults on demand.

  python tests/support/bucket_server.py gs        # prints its port, and serves the bucket `bucket` until it is killed

The emulator of Google Cloud Storage ignores `ifGenerationMatch=0`, on which leases rely, and reads from the end of an
object: both are added here. A request to /fault?status=503&seconds=20 has requests fail with a status for some seconds,
/fault?delay=1&seconds=20 delays each, and /fault?silent=1&seconds=60 leaves them without an answer.
"""

import sys
import time
from http import HTTPStatus
from urllib.parse import parse_qs, urlparse

BUCKET = 'bucket'
faults: dict[str, float] = {}


def serve_gs() -> None:
  import re

  from gcp_storage_emulator import server
  from gcp_storage_emulator.exceptions import NotFound

  class Handler(server.RequestHandler):
    def parse_request(self) -> bool:
      if not super().parse_request():
        return False
      url = urlparse(self.path)
      if url.path == '/fault':
        faults.clear()
        faults.update({name: float(values[0]) for name, values in parse_qs(url.query).items()})
        faults['until'] = time.monotonic() + faults.get('seconds', 0)
        return True
      if time.monotonic() < faults.get('until', 0):
        time.sleep(faults.get('delay', 0))
        if faults.get('silent'):
          time.sleep(max(0, faults['until'] - time.monotonic()))
          return False
        if faults.get('status'):
          self.rfile.read(int(self.headers.get('Content-Length', 0)))
          self.send_error(int(faults['status']))
          return False
      self._turn_suffix_into_range(url)
      return True

    def do_POST(self) -> None:
      query = parse_qs(urlparse(self.path).query)
      if query.get('ifGenerationMatch') == ['0'] and 'upload_id' not in query:
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        import io

        self.rfile = io.BytesIO(body)
        name = (query.get('name') or re.findall(rb'"name": ?"([^"]+)"', body))[0]
        if self._exists(name if isinstance(name, str) else name.decode()):
          self.send_error(HTTPStatus.PRECONDITION_FAILED)
          return
      super().do_POST()

    def _exists(self, name: str) -> bool:
      try:
        self.storage.get_file_obj(BUCKET, name)
        return True
      except NotFound:
        return False

    def _turn_suffix_into_range(self, url) -> None:
      suffix = re.fullmatch(r'bytes=-(\d+)', self.headers.get('Range', ''))
      found = re.fullmatch(r'(?:/download)?/storage/v1/b/([^/]+)/o/(.+)', url.path)
      if suffix and found:
        from urllib.parse import unquote

        size = len(self.storage.get_file(found[1], unquote(found[2])))
        del self.headers['Range']
        self.headers['Range'] = f'bytes={max(0, size - int(suffix[1]))}-{size - 1}'

  server.RequestHandler = Handler
  emulator = server.create_server('127.0.0.1', 0, in_memory=True, default_bucket=BUCKET)
  emulator.start()
  print(emulator._api._httpd.server_port, flush=True)
  emulator._api.join_forever = None
  while True:
    time.sleep(60)


def serve_s3() -> None:
  from moto.server import ThreadedMotoServer

  server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
  server.start()
  print(server.get_host_and_port()[1], flush=True)
  while True:
    time.sleep(60)


if __name__ == '__main__':
  {'gs': serve_gs, 's3': serve_s3}[sys.argv[1]]()
