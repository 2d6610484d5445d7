"""Stages side by side: in order, a bounded way ahead, and ended together."""

import gc
import threading
import time
import weakref

import cv2
import pytest

from lpips_jax.dubbing.stages import Stages, opencv_on_one_thread, profile_table


def test_items_come_in_order_through_several_threads():
  with Stages() as stages:
    numbers = stages.ahead('count', iter(range(100)), 3)
    squares = stages.ahead('square', (x * x for x in numbers), 3)
    assert list(stages.here('add', (x + 1 for x in squares))) == [x * x + 1 for x in range(100)]
  assert [spent.items for spent in stages.times.values()] == [100, 100, 100]
  assert profile_table(stages.times, 1.0).count('\n') == 4


def test_a_stage_runs_a_bounded_way_ahead():
  made = []

  def numbers():
    for k in range(100):
      made.append(k)
      yield k

  with Stages() as stages:
    ahead = stages.ahead('count', numbers(), 4)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(made) <= 7  # one taken, four waiting, one in hand


def test_a_failure_is_raised_at_the_end_of_the_chain_and_ends_all():
  closed = []

  def source():
    try:
      yield from range(10_000)
    finally:
      closed.append('source')

  def fails(numbers):
    for k in numbers:
      if k == 5:
        raise ValueError('the fifth')
      yield k

  before = threading.active_count()
  seen = []
  with pytest.raises(ValueError, match='the fifth'), Stages() as stages:
    numbers = stages.ahead('source', source(), 2)
    failing = stages.ahead('fails', fails(numbers), 2)
    last = stages.ahead('last', (k for k in failing), 2)
    seen.extend(last)
  assert seen == [0, 1, 2, 3, 4]
  assert closed == ['source'] and threading.active_count() == before


def test_leaving_early_ends_all():
  def endless():
    while True:
      yield 0

  before = threading.active_count()
  with Stages() as stages:
    first = stages.ahead('a', endless(), 2)
    second = stages.ahead('b', (x for x in first), 2)
    next(second)
  assert threading.active_count() == before


def test_waiting_does_not_count_as_work():
  def slow():
    for k in range(5):
      time.sleep(0.05)
      yield k

  with Stages() as stages:
    list(stages.here('quick', (x for x in stages.ahead('slow', slow(), 1))))
  assert stages.times['slow'].busy > 0.2 and stages.times['quick'].busy < 0.1


def test_opencv_gets_its_threads_back_when_contexts_overlap():
  before = cv2.getNumThreads()
  cv2.setNumThreads(2)
  try:
    first, second = opencv_on_one_thread(), opencv_on_one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cv2.getNumThreads() == 1  # the second is still at work
    second.__exit__(None, None, None)
    assert cv2.getNumThreads() == 2
  finally:
    cv2.setNumThreads(before)


def test_a_failure_that_is_forgotten_frees_all_that_the_stages_held():
  """At once, not when Python next looks for circles: decoders have threads and much memory."""

  class Decoder:
    pass

  held = []

  def source():
    decoder = Decoder()
    held.append(weakref.ref(decoder))
    yield from (decoder for _ in range(3))
    raise ValueError('damaged')

  def run():
    with Stages() as stages:
      first = stages.ahead('first', source(), 2)
      list(stages.ahead('second', (item for item in first), 2))

  gc.disable()
  try:
    with pytest.raises(ValueError, match='damaged') as failed:
      run()
    del failed
    assert held[0]() is None
  finally:
    gc.enable()
