"""Workers answer, and those that fail, die or hang are replaced."""

import os
import time
import weakref
from contextlib import closing

import numpy as np
import pytest

from benchmarks.speed import workers
from benchmarks.speed.workers import Contender, Failure, Side, Worker


def side(device):
  contenders = {
    'good': Contender(lambda: {'x': np.ones(2)}, lambda repeats: time.sleep(0.01 * repeats)),
    'dies': Contender(dict, lambda repeats: os._exit(1)),
    'hangs': Contender(dict, lambda repeats: time.sleep(60)),
    'full': Contender(lambda: broken('CUDA out of memory. Tried to allocate 2 GiB'), None),
    'broken': Contender(lambda: broken('something else'), None),
  }
  return Side('cpu', device, '1', contenders, np.zeros(3))


def broken(why):
  raise RuntimeError(why)


def test_answers_and_failures():
  with closing(Worker(side, ('some device',), patience=20)) as worker:
    about = worker.about()
    assert (about['platform'], about['device'], about['version']) == ('cpu', 'some device', '1')
    assert worker.outputs('good')['x'].tolist() == [1, 1]
    assert 0.03 <= worker.seconds('good', 3) < 10
    with pytest.raises(Failure, match='out of memory'):
      worker.outputs('full')
    with pytest.raises(Failure, match='RuntimeError: something else'):
      worker.outputs('broken')
    with pytest.raises(Failure, match='died'):
      worker.seconds('dies', 1)
    assert worker.outputs('good')['x'].tolist() == [1, 1]  # from a new side


def test_a_worker_that_hangs_is_ended():
  with closing(Worker(side, ('cpu',), patience=20)) as worker:
    worker.about()
    worker._patience = 0.2
    with pytest.raises(Failure, match='no answer within 0 s'):
      worker.seconds('hangs', 1)


def test_failures_keep_nothing_alive():
  class Large:
    pass

  held = []

  def work():
    large = Large()
    held.append(weakref.ref(large))
    raise RuntimeError('CUDA out of memory')

  with pytest.raises(Failure, match='out of memory') as caught:
    workers.without_traceback(work)
  assert caught.value and held[0]() is None
