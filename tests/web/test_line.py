"""The line of dubs: one at a time, in order; people see their place, and can leave."""

import threading

import pytest

from lpips_jax.core.errors import Cancelled, UserError
from lpips_jax.core.progress import Progress
from lpips_jax.web.line import Line


@pytest.fixture
def line():
  line = Line(3)
  yield line
  line.close()


class Work:
  """Work that goes on until it is allowed to end, or cancelled."""

  def __init__(self, result: object = None):
    self.begun, self.allowed, self.result = threading.Event(), threading.Event(), result

  def __call__(self, report, cancel):
    report(Progress('dubbing', 1, 2, 1.0))
    self.begun.set()
    while not self.allowed.wait(0.005):
      if cancel.is_set():
        raise Cancelled
    return self.result


def test_jobs_are_done_one_at_a_time_in_order(line):
  works = [Work(k) for k in range(3)]
  jobs = [line.join(work) for work in works]
  assert works[0].begun.wait(5)
  assert [job.before for job in jobs] == [0, 1, 2]
  assert jobs[0].progress.done == 1 and jobs[1].progress is None
  works[0].allowed.set()
  assert jobs[0].result(5) == 0
  assert works[1].begun.wait(5)
  assert [job.before for job in jobs] == [0, 0, 1] and not works[2].begun.is_set()
  for work in works[1:]:
    work.allowed.set()
  assert [job.result(5) for job in jobs] == [0, 1, 2]


def test_a_full_line_takes_nobody(line):
  works = [Work() for _ in range(3)]
  jobs = [line.join(work) for work in works]
  with pytest.raises(UserError, match='3 dubs are in the queue'):
    line.join(Work())
  jobs[2].cancel()
  line.join(Work())  # there is a place again


def test_who_waits_and_leaves_is_gone_at_once(line):
  works = [Work(k) for k in range(3)]
  jobs = [line.join(work) for work in works]
  assert works[0].begun.wait(5)
  jobs[1].cancel()
  with pytest.raises(Cancelled):
    jobs[1].result(0)
  assert jobs[2].before == 1
  works[0].allowed.set()
  works[2].allowed.set()
  assert jobs[2].result(5) == 2 and not works[1].begun.is_set()


def test_work_that_is_cancelled_makes_room_for_the_next(line):
  works = [Work(k) for k in range(2)]
  jobs = [line.join(work) for work in works]
  assert works[0].begun.wait(5)
  jobs[0].cancel()
  with pytest.raises(Cancelled):
    jobs[0].result(5)
  works[1].allowed.set()
  assert jobs[1].result(5) == 1


def test_errors_are_the_results_and_the_line_goes_on(line):
  def fail(report, cancel):
    raise UserError('a bad film')

  with pytest.raises(UserError, match='a bad film'):
    line.join(fail).result(5)
  work = Work('done')
  work.allowed.set()
  assert line.join(work).result(5) == 'done'


def test_closing_ends_all_jobs():
  line = Line(3)
  works = [Work() for _ in range(3)]
  jobs = [line.join(work) for work in works]
  assert works[0].begun.wait(5)
  line.close()
  for job in jobs:
    with pytest.raises(Cancelled):
      job.result(0)
  assert not any(thread.name.startswith('dubbing') for thread in threading.enumerate())
