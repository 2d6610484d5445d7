"""A bucket of Google Cloud Storage on loopback: a directory, served as fast as this machine can, and counted.

  python -m benchmarks.speed.object_server DIRECTORY [SECONDS]     # prints its port, and serves until it is killed

It speaks as much of the JSON interface as reading takes. GET /counts tells how often each object was read. SECONDS
delay each answer with content.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlparse

import google_crc32c

BUCKET = 'bucket'
OBJECTS = f'/storage/v1/b/{BUCKET}/o'
CHUNK = 1 << 20


class Served(NamedTuple):
  """A directory that is served.

  Attributes:
    url: 'gs://bucket'.
    environment: variables that point clients at the server.
    server: 'http://127.0.0.1:port'.
  """

  url: str
  environment: dict[str, str]
  server: str

  def counts(self) -> dict[str, int]:
    """Returns how often each object was read so far."""
    with urllib.request.urlopen(f'{self.server}/counts') as answer:
      return json.load(answer)


@contextmanager
def served(directory: Path, delay: float = 0.0) -> Iterator[Served]:
  """Serves a directory from another process; files that come later are not seen."""
  line = [sys.executable, '-m', __spec__.name, str(directory), str(delay)]
  root = Path(__file__).parents[2]
  with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=root) as process:
    try:
      assert process.stdout is not None
      server = f'http://127.0.0.1:{int(process.stdout.readline())}'
      yield Served(f'gs://{BUCKET}', {'STORAGE_EMULATOR_HOST': server}, server)
    finally:
      process.kill()


def main() -> None:
  directory, delay = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
  files = sorted(path for path in directory.rglob('*') if path.is_file())
  described = {path.relative_to(directory).as_posix(): _described(path, directory) for path in files}
  counts: Counter[str] = Counter()

  class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self) -> None:
      url = urlparse(self.path)
      name = unquote(url.path.removeprefix('/download').removeprefix(OBJECTS).removeprefix('/'))
      query = parse_qs(url.query)
      if url.path == '/counts':
        self._answer(counts)
      elif not name:
        prefix = query.get('prefix', [''])[0]
        self._answer({'items': [about for key, about in described.items() if key.startswith(prefix)]})
      elif name not in described:
        self._answer({'error': {'code': 404, 'message': 'Not Found'}}, 404)
      elif query.get('alt') == ['media']:
        counts[name] += 1
        time.sleep(delay)
        self._send_content(directory / name)
      else:
        self._answer(described[name])

    def log_message(self, *_: object) -> None:
      pass

    def _answer(self, content: object, status: int = 200) -> None:
      body = json.dumps(content).encode()
      self.send_response(status)
      self.send_header('Content-Type', 'application/json')
      self.send_header('Content-Length', str(len(body)))
      self.end_headers()
      self.wfile.write(body)

    def _send_content(self, path: Path) -> None:
      first, size = 0, path.stat().st_size
      last = size - 1
      if given := self.headers.get('Range'):
        begin, _, end = given.removeprefix('bytes=').partition('-')
        first, last = int(begin), min(int(end or last), last)
      self.send_response(206 if given else 200)
      if given:
        self.send_header('Content-Range', f'bytes {first}-{last}/{size}')
      self.send_header('Content-Type', 'application/octet-stream')
      self.send_header('Content-Length', str(last - first + 1))
      self.end_headers()
      with path.open('rb') as file:
        while first <= last and (sent := os.sendfile(self.connection.fileno(), file.fileno(), first, last - first + 1)):
          first += sent

  server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
  server.daemon_threads = True
  print(server.server_port, flush=True)
  server.serve_forever()


def _described(path: Path, directory: Path) -> dict[str, str]:
  """Describes an object as the store does."""
  checksum = google_crc32c.Checksum()
  with path.open('rb') as file:
    for _ in checksum.consume(file, CHUNK):
      pass
  return {
    'kind': 'storage#object',
    'name': path.relative_to(directory).as_posix(),
    'bucket': BUCKET,
    'size': str(path.stat().st_size),
    'crc32c': b64encode(checksum.digest()).decode(),
    'generation': '1',
    'updated': '2000-01-01T00:00:00.000Z',
    'timeCreated': '2000-01-01T00:00:00.000Z',
  }


if __name__ == '__main__':
  main()
