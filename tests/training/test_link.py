"""Links pass bytes on, and tell who goes."""

import socket
import time
from contextlib import closing

import pytest

from lpips_jax.training import link
from lpips_jax.training.link import Door, Link, Unreachable

KEPT = []  # links, as their sockets are closed with the process


def address(service: str) -> tuple[str, int]:
  host, port = service.split(':')
  return host, int(port)


def wait_until(condition) -> None:
  deadline = time.monotonic() + 20
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.01)


@pytest.fixture
def port() -> int:
  return link._free_port()


@pytest.fixture
def connected(port):
  """The door, the second process's link, what JAX's client has of it, and what the service has."""
  door = Door(port, seconds=5)
  with socket.create_server(address(door.service)) as service:
    other = Link('localhost', port, 1, seconds=5)
    KEPT.append(other)
    with closing(socket.create_connection(address(other.service))) as client, closing(service.accept()[0]) as server:
      yield door, other, client, server


def test_bytes_pass_both_ways(connected):
  _, _, client, server = connected
  client.sendall(b'there' * 50_000)
  assert server.recv(250_000, socket.MSG_WAITALL) == b'there' * 50_000
  server.sendall(b'back')
  assert client.recv(4, socket.MSG_WAITALL) == b'back'


def test_the_door_tells_who_goes(connected):
  door, other, *_ = connected
  assert door.gone == {}
  other._door.shutdown(socket.SHUT_RDWR)  # as the system does for a killed process
  wait_until(lambda: door.gone == {1: socket.gethostname()})


def test_a_link_tells_that_the_first_goes_and_jax_does_not_notice(connected):
  _, other, client, server = connected
  assert other.gone == {}
  server.shutdown(socket.SHUT_RDWR)
  other._door.shutdown(socket.SHUT_RD)
  wait_until(lambda: other.gone == {0: 'localhost'})
  client.settimeout(0.1)
  with pytest.raises(TimeoutError):
    client.recv(1)


def test_the_door_names_who_has_not_come(connected):
  door, *_ = connected
  door.wait_for({1}, seconds=5)
  with pytest.raises(Unreachable, match=r'not here after 0 s: process 2, 3$'):
    door.wait_for({1, 2, 3}, seconds=0)


def test_one_that_has_started_anew_is_turned_away_and_its_old_self_has_gone(connected, port):
  door, *_ = connected
  with pytest.raises(Unreachable, match='ends, and no new one comes'):
    Link('localhost', port, 1, seconds=0.5)
  assert door.gone == {1: socket.gethostname()}


def test_a_hello_may_come_in_pieces(port):
  door = Door(port, seconds=5)
  hello = b'lpips_jax 1 token host'.ljust(link.HELLO_BYTES)
  with socket.create_server(address(door.service)), closing(socket.create_connection(('localhost', port))) as other:
    other.sendall(hello[:14])
    time.sleep(0.1)
    other.sendall(hello[14:])
    assert other.recv(1) == link.ADMITTED


def test_strangers_are_ignored(connected, port):
  door, *_ = connected
  for said in b'', b'GET / HTTP/1.1\r\n\r\n', b' ' * link.HELLO_BYTES:
    with closing(socket.create_connection(('localhost', port))) as stranger:
      stranger.sendall(said)
      stranger.shutdown(socket.SHUT_WR)
      assert stranger.recv(1) == b''
  assert door.gone == {}


def test_nobody_there_is_one_line(port):
  with pytest.raises(Unreachable, match=rf'localhost:{port}, the first: Connection refused$'):
    Link('localhost', port, 1, seconds=0.1)


def test_a_port_that_is_taken_is_one_line(port):
  with socket.create_server(('', port)), pytest.raises(Unreachable, match=f'port {port}: Address already in use$'):
    Door(port, seconds=0.1)
