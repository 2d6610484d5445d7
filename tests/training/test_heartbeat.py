"""A process is lost when it has been silent for long, by the clock of those that listen."""

import pytest

from lpips_jax.training import heartbeat
from lpips_jax.training.heartbeat import SILENT_SECONDS, Silence, Watch, exchange


class Clock:
  def __init__(self, now: float = 0.0):
    self.now = now

  def __call__(self) -> float:
    return self.now


class Store(dict):
  """The key-value store of the first process."""

  def key_value_set(self, key, value, allow_overwrite=False):
    self[key] = value

  key_value_try_get = dict.__getitem__

  def key_value_dir_get(self, prefix):
    return list(self.items())


def pass_seconds(watch: Watch, clock: Clock, seconds: float) -> None:
  """Looks each second."""
  for _ in range(int(seconds)):
    clock.now += 1
    watch.look()


def test_the_silent_one_is_named():
  clock = Clock()
  watch = Watch([1, 2], clock)
  watch.hear(1, '0 host1')
  watch.hear(2, '0 host2')
  pass_seconds(watch, clock, SILENT_SECONDS)
  watch.hear(2, '1 host2')
  assert watch.silent() == []
  pass_seconds(watch, clock, 1)
  assert watch.silent() == [Silence(1, 'host1')]


def test_a_value_that_stays_is_no_heartbeat():
  clock = Clock()
  watch = Watch([1], clock)
  for _ in range(int(SILENT_SECONDS) + 1):
    pass_seconds(watch, clock, 1)
    watch.hear(1, '0 host1')
  assert watch.silent() == []  # the first counted
  pass_seconds(watch, clock, 1)
  watch.hear(1, '0 host1')
  assert watch.silent() == [Silence(1, 'host1')]


@pytest.mark.parametrize('pause', [SILENT_SECONDS - 1, 10 * SILENT_SECONDS])
def test_who_has_paused_blames_nobody(pause):
  clock = Clock()
  watch = Watch([1], clock)
  clock.now += pause
  assert watch.look() == pause
  assert watch.silent() == []
  pass_seconds(watch, clock, SILENT_SECONDS)
  assert watch.silent() == []
  pass_seconds(watch, clock, 1)
  assert watch.silent() == [Silence(1, '')]


def test_clocks_of_different_hosts_are_not_compared(monkeypatch):
  store, clocks = Store(), [Clock(0.0), Clock(-1e6), Clock(1e6)]
  watches = [Watch(others, clock) for others, clock in zip([[1, 2], [0], [0]], clocks, strict=True)]
  for count in range(100):
    for process, (watch, clock) in enumerate(zip(watches, clocks, strict=True)):
      clock.now += 1
      monkeypatch.setattr(heartbeat.time, 'time', clock)
      watch.look()
      if process < 2 or count < 50:
        exchange(store, process, count, watch)
  assert [[silence.process for silence in watch.silent()] for watch in watches] == [[2], [], [0]]
