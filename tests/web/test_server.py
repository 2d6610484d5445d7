"""The door of the page: what may come in, and where browsers may go from it."""

import asyncio

import pytest

pytest.importorskip('gradio', reason='the page needs Gradio')

from lpips_jax.web.server import ENVELOPE, KeptHome


def answer(path: str, length: int = 0, pieces: int = 1) -> tuple[int, dict[str, str], str, int]:
  """Asks an application that answers 200: its status, headers and body, and how many pieces of the request it heard."""
  sent, heard = [], []

  async def application(scope, receive, send):
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'x-own', b'1')]})
    await send({'type': 'http.response.body', 'body': b'fine'})

  async def receive():
    heard.append(1)
    return {'type': 'http.request', 'body': b'', 'more_body': len(heard) < pieces}

  async def send(message):
    sent.append(message)

  scope = {'type': 'http', 'path': path, 'headers': [(b'content-length', str(length).encode())]}
  asyncio.run(KeptHome(application, 2)(scope, receive, send))
  headers = {name.decode(): value.decode() for name, value in sent[0]['headers']}
  return sent[0]['status'], headers, sent[1]['body'].decode(), len(heard)


def test_browsers_are_told_to_ask_nobody_else():
  status, headers, body, _ = answer('/')
  assert (status, body, headers['x-own']) == (200, 'fine', '1')
  policy = dict(part.strip().partition(' ')[::2] for part in headers['content-security-policy'].split(';'))
  assert policy['default-src'] == policy['form-action'] == "'self'"
  for sources in policy.values():
    assert not [source for source in sources.split() if not (source.startswith("'") or source in ('data:', 'blob:'))]


@pytest.mark.parametrize(
  'path',
  [
    '/gradio_api/file=https://example.org/me.mp4',
    '/gradio_api/file= HTTP://example.org/me.mp4',
    '/gradio_api/proxy=https://example.org/',
  ],
)
def test_nobody_sends_the_server_elsewhere(path):
  status, headers, body, _ = answer(path)
  assert (status, body) == (403, 'only files of this page are served') and 'content-security-policy' in headers


def test_own_files_are_served():
  assert answer('/gradio_api/file=/tmp/page/results/x/dubbed.mp4')[0] == 200


def test_large_files_are_refused_once_they_are_heard_out():
  assert answer('/gradio_api/upload', 2_000_000 + ENVELOPE)[0] == 200
  status, _, body, heard = answer('/gradio_api/upload', 2_000_001 + ENVELOPE, pieces=3)
  assert (status, body, heard) == (413, 'files of up to 2 MB are taken: give a smaller one', 3)
