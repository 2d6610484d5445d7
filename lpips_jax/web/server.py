"""Opens the page to browsers, and to programs by REST and Gradio's client."""

import contextlib
import re
import socket
from collections.abc import Iterator
from typing import Any

import gradio as gr
from absl import logging
from gradio import processing_utils

from lpips_jax.core.errors import UserError
from lpips_jax.web import api
from lpips_jax.web.events import Events
from lpips_jax.web.layout import ASSETS, lay_out
from lpips_jax.web.service import Service
from lpips_jax.web.theme import theme

LOCAL = '127.0.0.1', 'localhost', '::1'
# Browsers refuse to ask anybody else for anything, whatever a component would like to load.
POLICY = (
  "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
  "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
  "worker-src 'self' blob:; form-action 'self'; base-uri 'self'; object-src 'none'"
)

HEADERS = (
  (b'content-security-policy', POLICY.encode()),
  (b'referrer-policy', b'no-referrer'),
  (b'x-content-type-options', b'nosniff'),
)
ELSEWHERE = re.compile(r'/(?:file|proxy|stream)=\s*[a-zA-Z][\w+.-]*:')  # Gradio would fetch what such a path names

MAX_SESSIONS = 500  # whose state is held, of 0.1 MB each; a program has one for each call
ENVELOPE = 64_000  # bytes around a file in a request


@contextlib.contextmanager
def serve(service: Service, host: str, port: int) -> Iterator[str]:
  """Serves the page during the body.

  Args:
    service: does the work.
    host: the address to listen at.
    port: likewise; 0 is any free one.

  Yields:
    The page's address.

  Raises:
    UserError: the port is taken, or the host is none of this machine.
  """
  _check_address(host, port)
  if host not in LOCAL:
    logging.warning('everybody who reaches %s:%d can use this page: it asks for no password', host, port)
  processing_utils.async_ssrf_protected_download = _no_download
  blocks = build(service)
  try:
    _, url, _ = blocks.launch(
      server_name=host,
      server_port=port or None,
      share=False,
      quiet=True,
      show_error=True,  # of Gradio's own; ours are one line
      prevent_thread_lock=True,
      allowed_paths=[str(service.storage.results), str(service.storage.examples)],
      max_file_size=1_000_000 * service.limits.max_megabytes,
      theme=theme(),
      css_paths=[ASSETS / 'page.css'],
      head=f'<script>{(ASSETS / "page.js").read_text()}</script>',
      footer_links=[],
      ssr_mode=False,
      enable_monitoring=False,
      state_session_capacity=MAX_SESSIONS,
      app_kwargs={'middleware': [(KeptHome, (service.limits.max_megabytes,), {})]},  # a class and its arguments
    )
  except OSError as error:
    raise UserError(f'port {port} of {host} cannot be used: give another port', 'port') from error
  try:
    yield url
  finally:
    blocks.close(verbose=False)


def _check_address(host: str, port: int) -> None:
  """Raises UserError unless this machine can listen there; Gradio would ask a wrong host again and again."""
  try:
    family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
      listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      listener.bind(address)
  except OSError as error:
    raise UserError(
      f'host {host!r} has no port {port} to listen at ({error.strerror}): give others', 'host', 'port'
    ) from error


def build(service: Service) -> gr.Blocks:
  """Returns the page, which is not served yet."""
  with gr.Blocks(title='Lip sync', analytics_enabled=False) as blocks:
    api.connect(service)  # first, as it has the first choice of names
    Events(service, {}).connect(lay_out(service.limits), blocks)
  return blocks.queue(api_open=False, default_concurrency_limit=4)


async def _no_download(url: str, cache_dir: str) -> str:
  """Stands in for Gradio's download of files that clients name by an address."""
  raise gr.Error('give a file, not an address', print_exception=False)


class KeptHome:
  """ASGI middleware: browsers ask nobody else for anything, nobody sends this server anywhere, no file is too large."""

  def __init__(self, app: Any, max_megabytes: int) -> None:
    self._app, self._max_megabytes = app, max_megabytes

  async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
    async def send_with_policy(message: Any) -> None:
      if message['type'] == 'http.response.start':
        message = message | {'headers': [*message['headers'], *HEADERS]}
      await send(message)

    async def refuse(status: int, line: str) -> None:
      await send_with_policy({'type': 'http.response.start', 'status': status, 'headers': []})
      await send({'type': 'http.response.body', 'body': line.encode()})

    length = dict(scope.get('headers', ())).get(b'content-length', b'0')
    if ELSEWHERE.search(scope.get('path', '')):
      await refuse(403, 'only files of this page are served')
    elif length.isdigit() and int(length) > 1_000_000 * self._max_megabytes + ENVELOPE:
      while (await receive()).get('more_body'):
        pass  # a client that is not heard out sees a broken connection, and not the line
      await refuse(413, f'files of up to {self._max_megabytes} MB are taken: give a smaller one')
    else:
      await self._app(scope, receive, send_with_policy)
