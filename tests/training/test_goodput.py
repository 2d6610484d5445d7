"""The time of a run: every second is in one category, and attempts that ended without a word are not forgotten."""

import json
import time

import pytest
from runs import PowerCut, cut_after, run, tiny_config

from lpips_jax.training import goodput


class Time:
  """A clock that goes on only when it is told to; the process began 5 s before."""

  def __init__(self, monkeypatch):
    self.now = 1_000.0
    monkeypatch.setattr(goodput.time, 'monotonic', lambda: self.now)
    monkeypatch.setattr(goodput.time, 'time', lambda: self.now + 1e9)
    monkeypatch.setattr(goodput, '_process_age', lambda: 5.0)
    monkeypatch.setattr(goodput, '_unclaimed', [True])


@pytest.fixture
def clock_time(monkeypatch):
  return Time(monkeypatch)


def times(workdir):
  lines = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  return [line for line in lines if line['kind'] == 'time']


def whole(line):
  return sum(line[name] for name in goodput.CATEGORIES)


def test_each_second_is_in_one_category(clock_time):
  clock = goodput.Clock()
  clock_time.now += 2
  clock.switch(goodput.STEPS)
  clock_time.now += 60
  with pytest.raises(KeyError), clock.during(goodput.EVALUATION):
    clock_time.now += 8
    raise KeyError
  clock_time.now += 20
  clock.count_as(goodput.INPUT, 5)
  expected = {'steps': 75, 'start': 7, 'compile': 0, 'input': 5, 'evaluation': 8, 'saving': 0, 'faults': 0}
  assert clock.seconds() == clock.seconds() == expected
  assert goodput.share(expected) == 75 / 95
  assert goodput.describe(expected) == 'goodput 79%: steps 75 s, evaluation 8 s, start 7 s, input 5 s'


def test_only_the_first_run_of_a_process_counts_from_its_start(clock_time):
  assert [goodput.Clock().seconds()['start'] for _ in range(2)] == [5, 0]


def test_the_next_attempt_counts_from_the_line_of_the_step_that_it_resumes(clock_time, tmp_path):
  log = tmp_path / 'metrics.jsonl'
  entries = [
    {'step': step, 'kind': 'time', **dict.fromkeys(goodput.CATEGORIES, 1.0), 'steps': 10.0 * step, 'wall': wall}
    for step, wall in ((4, 1e9 + 500), (4, 1e9 + 600), (8, 1e9 + 900))
  ]
  damaged = ['{"step": 4, "kind": "time"}', '{"step": 4, "kind": "time", "st']
  log.write_text('\n'.join([*map(json.dumps, entries), '{"step": 4, "kind": "train", "time": 1}', *damaged]))
  clock = goodput.Clock()
  clock.follow(goodput.last_times(log, 4))
  seconds = clock.seconds()
  assert seconds['faults'] == 1 + 1_000 - 5 - 600  # from the later line of step 4 to the process's start
  assert (seconds['steps'], seconds['start']) == (40, 6)
  assert goodput.last_times(log, 7) == goodput.last_times(log, 4)
  assert goodput.last_times(log, 3) is None and goodput.last_times(tmp_path / 'gone', 4) is None


def test_a_clock_that_is_ahead_takes_no_time_away(clock_time):
  clock = goodput.Clock()
  clock.follow(dict.fromkeys(goodput.CATEGORIES, 1.0) | {'wall': 2e9})
  assert clock.seconds()['faults'] == 1


def test_the_age_of_a_process_is_that_of_its_start():
  import psutil

  assert goodput._process_age() == pytest.approx(time.time() - psutil.Process().create_time(), abs=2)


@pytest.mark.slow
def test_a_run_that_was_cut_accounts_for_its_whole_wall_clock(directory, tmp_path, monkeypatch):
  config = tiny_config('sync_expert', directory)
  config.update(steps=6, eval_every=2, checkpoint_every=2)
  monkeypatch.setattr(goodput, '_unclaimed', [])
  began = time.time()
  for cut in (1, 3, None):  # before the first save, behind it, never
    with monkeypatch.context() as patch:
      if cut is None:
        run(config, tmp_path)
      else:
        cut_after(patch, cut)
        with pytest.raises(PowerCut):
          run(config, tmp_path)
    time.sleep(0.2)
  last = times(tmp_path)[-1]
  assert last['step'] == 6 and last['faults'] > 0.2 and last['compile'] > 0
  assert whole(last) == pytest.approx(last['wall'] - began, abs=0.15)
  assert [line['step'] for line in times(tmp_path)] == [0, 0, 2, 2, 4, 6]
  assert last['goodput'] == pytest.approx(last['steps'] / whole(last), abs=1e-3)
