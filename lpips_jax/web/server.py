"""Opens the page to browsers, and to programs by REST and Gradio's client."""

import contextlib
import os
from collections.abc import Iterator

import gradio as gr
from absl import logging
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
  if host not in LOCAL:
    logging.warning('everybody who reaches %s:%d can use this page: it asks for no password', host, port)
  os.environ['GRADIO_TEMP_DIR'] = str(service.storage.uploads)
  blocks = build(service)
  try:
    _, url, _ = blocks.launch(
      server_name=host,
      server_port=port or None,
      share=False,
      quiet=True,
      prevent_thread_lock=True,
      allowed_paths=[str(service.storage.results), str(service.storage.examples)],
      max_file_size=f'{service.limits.max_megabytes}mb',
      theme=theme(),
      css_paths=[ASSETS / 'page.css'],
      head=f'<script>{(ASSETS / "page.js").read_text()}</script>',
      footer_links=['api'],
      ssr_mode=False,
      enable_monitoring=False,
      app_kwargs={'middleware': [Middleware(_KeptHome)]},
    )
  except OSError as error:
    raise UserError(f'port {port} of {host} cannot be used: give another port', 'port') from error
  try:
    yield url
  finally:
    blocks.close(verbose=False)


def build(service: Service) -> gr.Blocks:
  """Returns the page, which is not served yet."""
  with gr.Blocks(title='Lip sync', analytics_enabled=False) as blocks:
    Events(service, {}).connect(lay_out(service.limits), blocks)
    api.connect(service)
  return blocks.queue(api_open=False, default_concurrency_limit=4)


class _KeptHome:
  """Keeps browsers from asking others, and others from sending this server somewhere."""

  def __init__(self, app: ASGIApp) -> None:
    self._app = app

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    async def send_with_policy(message: Message) -> None:
      if message['type'] == 'http.response.start':
        headers = MutableHeaders(scope=message)
        headers['Content-Security-Policy'] = POLICY
        headers['Referrer-Policy'] = 'no-referrer'
        headers['X-Content-Type-Options'] = 'nosniff'
      await send(message)

    await self._app(scope, receive, send_with_policy)
