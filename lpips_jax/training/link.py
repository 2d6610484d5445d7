"""Connections to the first of several processes, which tell at once when the process at their other end has gone.

JAX's processes meet in a service of the first one. When that is gone, JAX's client ends its own process at once, with a
dump in place of a reason; when another is gone, nobody knows for a minute and more; and when that one starts again too
soon, it ends the old ones in the same way. So JAX speaks to its service through a `Door` in the first process and a
`Link` in each other one. These pass its bytes on, notice who goes, and keep JAX from noticing.
"""

import contextlib
import os
import secrets
import socket
import threading
import time

from lpips_jax.core.errors import TryAgain

HELLO_BYTES = 256  # the first bytes of a connection, which say who calls
ADMITTED = b'+'  # the door's answer
LOOPBACK = '127.0.0.1'
SERVICE_SECONDS = 3600  # for which a process that was let in waits for JAX's service, which starts when all have come
RETRY_SECONDS = 0.2  # between two attempts to connect


class Unreachable(TryAgain):
  """The processes do not find each other: the same command may find them later."""


class Door:
  """The first process's end of all links.

  Args:
    port: of all addresses of this host, where the others come.
    seconds: how long to wait for the port, which an earlier process may be about to leave.

  Attributes:
    service: the address for JAX's service, and for this process's own client.
    gone: the hosts of processes that have gone, by their number.

  Raises:
    Unreachable: the port is taken.
  """

  def __init__(self, port: int, seconds: float) -> None:
    self.gone: dict[int, str] = {}
    self._admitted: dict[int, str] = {}  # the name of each process's start
    self._lock = threading.Lock()
    self._listener = _listen(port, seconds)
    self._service_port = _free_port()
    self.service = f'{LOOPBACK}:{self._service_port}'
    _in_background(self._admit_all)

  def wait_for(self, others: set[int], seconds: float) -> None:
    """Returns once these processes have come.

    Raises:
      Unreachable: some have not.
    """
    deadline = time.monotonic() + seconds
    while missing := others - set(self._admitted):
      if time.monotonic() > deadline:
        names = ', '.join(map(str, sorted(missing)))
        raise Unreachable(f'the processes do not find each other: not here after {seconds:.0f} s: process {names}')
      time.sleep(RETRY_SECONDS)

  def _admit_all(self) -> None:
    while True:
      connection, _ = self._listener.accept()
      _in_background(self._admit, connection)

  def _admit(self, connection: socket.socket) -> None:
    """Lets a process through until it goes; one that has started anew is turned away, for its old self has gone."""
    with connection:
      try:
        connection.settimeout(10)
        with connection.makefile('rb') as file:  # reads on until all of it has come; `recv` would not, with a timeout
          _, process, start, host = file.read(HELLO_BYTES).decode().split()
        number = int(process)
      except (OSError, ValueError):
        return  # a stranger, such as a probe of the port
      with self._lock:
        known = self._admitted.setdefault(number, start) == start
      if known:
        connection.settimeout(None)
        with contextlib.suppress(OSError):
          connection.sendall(ADMITTED)
          with _connected(LOOPBACK, self._service_port, SERVICE_SECONDS) as service:
            _in_background(_pass_on, service, connection)
            _pass_on(connection, service)
      self.gone[number] = host


class Link:
  """The link of a process other than the first, up to the first's door.

  Args:
    host, port: of the door.
    process: the number of this process.
    seconds: how long to wait to be admitted.

  Attributes:
    service: the address for JAX's client.
    gone: {0: host} once the first process has gone.

  Raises:
    Unreachable: nobody answers.
  """

  def __init__(self, host: str, port: int, process: int, seconds: float) -> None:
    self.gone: dict[int, str] = {}
    self._host = host
    self._door = _enter(host, port, f'lpips_jax {process} {secrets.token_hex(8)} {socket.gethostname()}', seconds)
    self._listener = socket.create_server((LOOPBACK, 0))
    self.service = f'{LOOPBACK}:{self._listener.getsockname()[1]}'
    _in_background(self._serve)

  def _serve(self) -> None:
    self._client, _ = self._listener.accept()  # JAX connects once; left open, for JAX ends the process otherwise
    _in_background(_pass_on, self._client, self._door)
    _pass_on(self._door, self._client)
    self.gone[0] = self._host


def _enter(host: str, port: int, hello: str, seconds: float) -> socket.socket:
  """Connects to the first process once it is there and admits this one, and not to one that is about to end."""
  deadline = time.monotonic() + seconds
  while (left := deadline - time.monotonic()) > 0:
    door = _connected(host, port, left)
    with contextlib.suppress(OSError):
      door.sendall(hello.encode()[:HELLO_BYTES].ljust(HELLO_BYTES))
      door.settimeout(left)
      if door.recv(1) == ADMITTED:
        door.settimeout(None)
        return door
    door.close()
    time.sleep(RETRY_SECONDS)
  raise Unreachable(f'the processes do not find each other: the first one at {host}:{port} ends, and no new one comes')


def _connected(host: str, port: int, seconds: float) -> socket.socket:
  """Returns a connection, as soon as there is one."""
  deadline = time.monotonic() + seconds
  while True:
    try:
      connection = socket.create_connection((host, port), timeout=max(1, deadline - time.monotonic()))
      connection.settimeout(None)
      connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
      return connection
    except OSError as error:
      if time.monotonic() > deadline:
        problem = error.strerror or error
        raise Unreachable(f'the processes do not find each other: {host}:{port}, the first: {problem}') from error
      time.sleep(RETRY_SECONDS)


def _listen(port: int, seconds: float) -> socket.socket:
  deadline = time.monotonic() + seconds
  while True:
    try:
      if socket.has_dualstack_ipv6():
        return socket.create_server(('', port), family=socket.AF_INET6, dualstack_ipv6=True)
      return socket.create_server(('', port))
    except OSError as error:
      if time.monotonic() > deadline:
        problem = os.strerror(error.errno or 0)
        raise Unreachable(f'the processes do not find each other: port {port}: {problem}') from error
      time.sleep(RETRY_SECONDS)


def _free_port() -> int:
  with socket.create_server((LOOPBACK, 0)) as taken:
    return int(taken.getsockname()[1])


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
  """Copies bytes until either end goes."""
  with contextlib.suppress(OSError):
    while data := source.recv(1 << 16):
      sink.sendall(data)


def _in_background(target, *arguments) -> None:
  threading.Thread(target=target, args=arguments, daemon=True).start()
