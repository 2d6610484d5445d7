import json
import multiprocessing
import os
import signal
import socket
import threading
import time

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.storage import leases, stores


@pytest.fixture(autouse=True)
def quick(monkeypatch):
  monkeypatch.setattr(leases, 'RENEWAL_SECONDS', 0.1)
  monkeypatch.setattr(leases, 'EXPIRES_SECONDS', 0.8)


@pytest.fixture(params=['gs_bucket', 's3_bucket'])
def url(request) -> str:
  return request.getfixturevalue(request.param).url


def elsewhere(monkeypatch, number: int = 1) -> None:
  """Makes this process look like one of another host to itself."""
  monkeypatch.setattr(leases, '_identity', lambda pid: f'{pid} {number} other host')


def test_one_run_at_a_time(url):
  first = leases.acquire(url)
  first.keep(pytest.fail)
  begun = time.monotonic()
  with pytest.raises(UserError, match=r'^another run, on .*, is at work in .*: wait for it, or end it$'):
    leases.acquire(url)
  assert time.monotonic() - begun < leases.EXPIRES_SECONDS
  first.release()
  leases.acquire(url).release()


def test_of_many_at_once_one_begins(url):
  taken, refused = [], []

  def run():
    try:
      lease = leases.acquire(url, say=lambda _: None)
    except UserError as error:
      refused.append(error)
    else:
      lease.keep(refused.append)
      taken.append(lease)

  threads = [threading.Thread(target=run) for _ in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  for lease in taken:
    lease.release()
  assert len(taken) == 1 and len(refused) == 3


def test_that_of_a_process_of_another_host_expires_by_the_clock_of_whoever_waits(url, monkeypatch):
  with monkeypatch.context() as patch:
    elsewhere(patch)
    leases.acquire(url)  # and is never renewed
  monkeypatch.setattr(time, 'time', lambda: 0.0)  # wall clocks play no part
  said = []
  begun = time.monotonic()
  leases.acquire(url, say=said.append).release()
  assert time.monotonic() - begun >= leases.EXPIRES_SECONDS
  assert said == [f'{url}: waiting up to 1 s to see whether the run on {socket.gethostname()} is still at work']


def killed_owner(url: str) -> None:
  leases.acquire(url)
  os.kill(os.getpid(), signal.SIGKILL)


def test_that_of_a_killed_process_of_this_host_is_free_at_once(url):
  process = multiprocessing.get_context('spawn').Process(target=killed_owner, args=(url,))
  process.start()
  process.join()
  leases.acquire(url, say=pytest.fail).release()


def test_whoever_was_taken_for_gone_learns_of_it(url, monkeypatch):
  first = leases.acquire(url)
  lines = []
  with monkeypatch.context() as patch:
    elsewhere(patch)
    leases.acquire(url, say=lambda _: None)  # as the first does not renew
  first.keep(lines.append)
  deadline = time.monotonic() + 10
  while not lines and time.monotonic() < deadline:
    time.sleep(0.05)
  host = socket.gethostname()
  assert lines == [f'a run on {host} has taken over {url}, as this one could not be heard of for long, and ends']
  assert [file.name for file in stores.files_below(f'{url}/.lease')] == ['000002']


def test_a_damaged_lease_is_free(url):
  stores.write(f'{url}/.lease/000007', b'{"tok')
  lease = leases.acquire(url)
  assert json.loads(stores.read(f'{url}/.lease/000008'))['token']
  lease.release()


def test_a_store_that_does_not_answer_for_a_while_costs_nobody_the_lease(gs_bucket, served_gs):
  lease, lost = leases.acquire(gs_bucket.url), []
  lease.keep(lost.append)
  served_gs.fault(status=503, seconds=1.5)
  time.sleep(2)
  assert not lost and lease.is_held()
  lease.release()


@pytest.mark.parametrize('content', [b'[1]', b'null', b'', b'\xff'])
def test_a_damaged_lease_is_nobodys(gs_bucket, content):
  stores.write(f'{gs_bucket.url}/.lease/000007', content)
  with leases.held(gs_bucket.url):
    assert [file.name for file in stores.files_below(gs_bucket.url)] == ['.lease/000008']
