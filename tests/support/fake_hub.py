"""A hub on loopback that speaks what huggingface_hub needs to create a repository, to commit to it and to read it."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = 'hf_of_nobody'
Files = dict[str, bytes]


class FakeHub(ThreadingHTTPServer):
  """Keeps repositories in memory.

  Attributes:
    commits: the files of each commit, by its hash.
    branches: the hash of a branch's newest commit, by repository and branch.
    large: the contents of files kept apart, by their SHA-256, as of Git LFS.
    gated: repositories whose terms have to be accepted first.
    cut: names of files whose next download breaks off in the middle.
    asked: method and path of all requests, and their Range.
    token: what a request that writes has to show.
  """

  daemon_threads = True

  def __init__(self) -> None:
    super().__init__(('127.0.0.1', 0), _Handler)
    self.commits: dict[str, Files] = {}
    self.branches: dict[tuple[str, str], str] = {}
    self.private: set[str] = set()
    self.large: Files = {}
    self.gated: set[str] = set()
    self.cut: set[str] = set()
    self.asked: list[tuple[str, str, str | None]] = []
    self.token = TOKEN

  @property
  def address(self) -> str:
    return f'http://127.0.0.1:{self.server_port}'

  def commit(self, repo: str, files: Files, branch: str = 'main') -> str:
    """Makes these files a branch's newest commit; returns its hash."""
    name = hashlib.sha1(repr((repo, sorted(files.items()), len(self.commits))).encode()).hexdigest()
    self.commits[name] = files
    self.branches[repo, branch] = name
    return name

  def files(self, repo: str, branch: str = 'main') -> Files:
    return self.commits[self.branches[repo, branch]]


@contextlib.contextmanager
def running() -> Iterator[FakeHub]:
  with FakeHub() as hub:
    thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
    thread.start()
    try:
      yield hub
    finally:
      hub.shutdown()
      thread.join()


class _Handler(BaseHTTPRequestHandler):
  server: FakeHub
  protocol_version = 'HTTP/1.1'

  def log_message(self, *_: Any) -> None:
    pass

  def do_GET(self) -> None:
    self._answer()

  def do_HEAD(self) -> None:
    self._answer()

  def do_PUT(self) -> None:
    self._answer()

  def do_POST(self) -> None:
    self._answer()

  def _answer(self) -> None:
    body = self._body()
    path = unquote(urlsplit(self.path).path)
    self.server.asked.append((self.command, path, self.headers.get('Range')))
    if self.command == 'PUT':  # to the storage, whose addresses are secrets themselves
      self.server.large[path.removeprefix('/storage/')] = body
      return self._send(b'')
    if self.command == 'POST' and self.headers.get('Authorization') != f'Bearer {self.server.token}':
      return self._refuse(401, None, 'Invalid username or password.')
    for pattern, reply in _REPLIES:
      if found := re.fullmatch(pattern, path):
        return reply(self, body, **found.groupdict())
    return self._refuse(404, None, f'the fake hub knows no {path}')

  def _body(self) -> bytes:
    if self.headers.get('Transfer-Encoding') != 'chunked':
      return self.rfile.read(int(self.headers.get('Content-Length') or 0))
    parts = []
    while size := int(self.rfile.readline(), 16):
      parts.append(self.rfile.read(size))
      self.rfile.readline()
    self.rfile.readline()
    return b''.join(parts)

  def _send(self, content: bytes | dict | list, status: int = 200, **headers: str) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    self.send_response(status)
    for name, value in {'Content_Length': str(len(body)), **headers}.items():
      self.send_header(name.replace('_', '-'), value)
    self.end_headers()
    if self.command != 'HEAD':
      self.wfile.write(body)

  def _refuse(self, status: int, code: str | None, message: str) -> None:
    headers = {'X_Error_Message': message} | ({'X_Error_Code': code} if code else {})
    self._send({'error': message}, status, **headers)

  def _found(self, repo: str, revision: str) -> tuple[str, Files] | None:
    """Returns hash and files of a commit; None after an answer that says why not."""
    if repo in self.server.gated:
      return self._refuse(403, 'GatedRepo', 'Access to this model is restricted.')
    if not any(known == repo for known, _ in self.server.branches):
      return self._refuse(404, 'RepoNotFound', 'Repository not found')
    name = self.server.branches.get((repo, revision), revision)
    if name not in self.server.commits:
      return self._refuse(404, 'RevisionNotFound', f'Invalid rev id: {revision}')
    return name, self.server.commits[name]

  def _create(self, body: bytes) -> None:
    given = json.loads(body)
    repo = f'{given["organization"]}/{given["name"]}' if given.get('organization') else given['name']
    if (repo, 'main') in self.server.branches:
      return self._send({'error': 'You already created it', 'url': f'{self.server.address}/{repo}'}, 409)
    if given.get('private') or given.get('visibility') == 'private':
      self.server.private.add(repo)
    self.server.commit(repo, {'.gitattributes': b'*.bin filter=lfs\n'})
    return self._send({'url': f'{self.server.address}/{repo}', 'name': repo})

  def _branch(self, body: bytes, repo: str, branch: str) -> None:
    if (repo, branch) in self.server.branches:
      return self._refuse(409, None, 'Reference already exists')
    self.server.branches[repo, branch] = self.server.branches[repo, 'main']
    return self._send({})

  def _validate(self, body: bytes) -> None:
    known = re.search(r'^license: \S+$', json.loads(body)['content'], re.MULTILINE)
    self._send({'errors': [] if known else [{'message': 'no license'}], 'warnings': []}, 200 if known else 400)

  def _modes(self, body: bytes, repo: str, revision: str) -> None:
    """Files that are no text are kept apart, as the hub does."""
    if not self._found(repo, revision):
      return
    modes = [
      {'path': file['path'], 'uploadMode': 'lfs' if _is_binary(file['sample']) else 'regular', 'shouldIgnore': False}
      for file in json.loads(body)['files']
    ]
    self._send({'files': modes})

  def _batch(self, body: bytes, repo: str) -> None:
    objects = [
      {
        'oid': wanted['oid'],
        'size': wanted['size'],
        **(
          {}
          if wanted['oid'] in self.server.large
          else {'actions': {'upload': {'href': f'{self.server.address}/storage/{wanted["oid"]}'}}}
        ),
      }
      for wanted in json.loads(body)['objects']
    ]
    self._send({'transfer': 'basic', 'objects': objects}, Content_Type='application/vnd.git-lfs+json')

  def _commit(self, body: bytes, repo: str, revision: str) -> None:
    if not (found := self._found(repo, revision)):
      return
    files = dict(found[1])
    for line in body.splitlines():
      change = json.loads(line)
      value = change['value']
      if change['key'] == 'file':
        files[value['path']] = base64.b64decode(value['content'])
      elif change['key'] == 'lfsFile':
        content = self.server.large[value['oid']]
        assert hashlib.sha256(content).hexdigest() == value['oid']
        files[value['path']] = content
      elif change['key'] == 'deletedFile':
        del files[value['path']]
    name = self.server.commit(repo, files, revision)
    self._send({'commitUrl': f'{self.server.address}/{repo}/commit/{name}', 'commitOid': name, 'success': True})

  def _info(self, body: bytes, repo: str, revision: str | None = None) -> None:
    if found := self._found(repo, revision or 'main'):
      commit, files = found
      siblings = [
        {'rfilename': path, 'size': len(content), 'blobId': _blob(content)} for path, content in files.items()
      ]
      self._send({'id': repo, 'sha': commit, 'private': repo in self.server.private, 'siblings': siblings})

  def _tree(self, body: bytes, repo: str, revision: str) -> None:
    if found := self._found(repo, revision):
      entries = [
        {'type': 'file', 'path': name, 'size': len(file), 'oid': _blob(file)} for name, file in found[1].items()
      ]
      self._send(entries)

  def _resolve(self, body: bytes, repo: str, revision: str, path: str) -> None:
    if not (found := self._found(repo, revision)):
      return
    content = found[1][path]
    first = int((self.headers.get('Range') or 'bytes=0-')[6:].partition('-')[0])
    rest = content[first:]
    headers = {'ETag': f'"{_blob(content)}"', 'X_Repo_Commit': found[0], 'Accept_Ranges': 'bytes'}
    if first:
      headers['Content_Range'] = f'bytes {first}-{len(content) - 1}/{len(content)}'
    if self.command == 'GET' and path in self.server.cut:
      self.server.cut.discard(path)
      self._send(rest[: len(rest) // 2], 206 if first else 200, **headers, Content_Length=str(len(rest)))
      self.close_connection = True
      return
    self._send(rest, 206 if first else 200, **headers)


def _is_binary(sample: str) -> bool:
  return b'\0' in base64.b64decode(sample)


def _blob(content: bytes) -> str:
  """Returns Git's hash of a file."""
  return hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest()


_REPO = r'(?P<repo>[^/]+/[^/]+)'
_REPLIES = (
  (r'/api/repos/create', _Handler._create),
  (r'/api/validate-yaml', _Handler._validate),
  (rf'/api/models/{_REPO}', _Handler._info),
  (rf'/api/models/{_REPO}/revision/(?P<revision>.+)', _Handler._info),
  (rf'/api/models/{_REPO}/tree/(?P<revision>[^/]+)', _Handler._tree),
  (rf'/api/models/{_REPO}/branch/(?P<branch>.+)', _Handler._branch),
  (rf'/api/models/{_REPO}/preupload/(?P<revision>.+)', _Handler._modes),
  (rf'/api/models/{_REPO}/commit/(?P<revision>.+)', _Handler._commit),
  (rf'/{_REPO}\.git/info/lfs/objects/batch', _Handler._batch),
  (rf'/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)', _Handler._resolve),
)
