"""Batches continue at their position with any workers, which end with their parent and not before."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple

import grain
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp
from runs import ROOT

from data_pipeline.batches import Batches
from lpips_jax.core.errors import UserError

Usage = namedtuple('Usage', 'total used free')
MIB = 1 << 20


def numbered(workers=0):
  """Batches of one number each, their position."""
  return Batches(grain.MapDataset.range(1 << 30).map(lambda n: {'n': np.array([n])}), workers, 1)


def drawn(made, count):
  return [int(next(made)['n'][0]) for _ in range(count)]


@pytest.mark.parametrize(('before', 'after'), [(0, 1), (2, 0)])
def test_a_run_continues_with_other_workers(before, after, tmp_path):
  made, other = numbered(before), numbered(after)
  assert drawn(made, 3) == [0, 1, 2]
  with ocp.training.Checkpointer(tmp_path) as checkpointer:
    checkpointer.save_checkpointables(3, {'data': made})
    checkpointer.load_checkpointables(3, {'data': other})
  assert drawn(other, 3) == drawn(made, 3) == [3, 4, 5]
  made.close()
  other.close()


def test_a_process_can_continue_with_the_state_of_another(tmp_path):
  (tmp_path / '3' / 'data').mkdir(parents=True)
  for process in range(2):
    (tmp_path / '3' / 'data' / f'process_{process}-of-2.json').write_text(json.dumps({'drawn': 3}))
  made = numbered()
  with ocp.training.Checkpointer(tmp_path) as checkpointer:
    checkpointer.load_checkpointables(3, {'data': made})
  assert drawn(made, 2) == [3, 4]


@pytest.mark.parametrize(
  'state',
  [{'next_index': 5}, {'next_index_in_cycle': 1, 'iterators_in_use_states': [{'next_index': 3}, {'next_index': 2}]}],
)
def test_states_of_earlier_versions_are_understood(state):
  made = numbered()
  made.set_state(state)
  assert drawn(made, 2) == [5, 6]


def test_workers_survive_a_sigterm_to_all_processes(tmp_path):
  script = tmp_path / 'command.py'  # a script: the first worker of a process is started differently from the next
  script.write_text(
    'import multiprocessing, os, signal, threading\n'
    'import grain\n'
    'from absl import flags\n'
    'from data_pipeline.batches import Batches\n'
    'def terminate():\n'
    '  while not over.wait(0.01):\n'  # from their first moment on
    '    for child in multiprocessing.active_children():\n'
    '      os.kill(child.pid, signal.SIGTERM)\n'
    'def main():\n'
    '  made, thread = Batches(grain.MapDataset.range(1 << 30), 1, 1), threading.Thread(target=terminate)\n'
    '  thread.start()\n'
    '  try:\n'
    '    print([next(made) for _ in range(5)])\n'
    '  finally:\n'
    '    over.set()\n'
    '    thread.join()\n'
    '    made.close()\n'
    'if __name__ == "__main__":\n'
    '  flags.FLAGS.mark_as_parsed()\n'
    '  over = threading.Event()\n'
    '  main()\n'
  )
  environment = os.environ | {'PYTHONPATH': str(ROOT)}
  result = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
  assert (result.returncode, result.stdout, result.stderr) == (0, '[0, 1, 2, 3, 4]\n', '')


def test_workers_need_shared_memory(monkeypatch):
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: Usage(64 * MIB, 4 * MIB, 60 * MIB))
  dataset = grain.MapDataset.range(9)
  Batches(dataset, 1, 10 * MIB)  # six of them
  Batches(dataset, 0, 100 * MIB)
  with pytest.raises(
    UserError, match=r'workers=2 needs 100 MiB .* 60 MiB free: .*--shm-size.*lower config.data.workers, to 1'
  ):
    Batches(dataset, 2, 10 * MIB)


def test_workers_killed_for_lack_of_shared_memory_give_one_line():
  made = numbered(workers=1)
  next(made)
  (worker,) = multiprocessing.active_children()
  os.kill(worker.pid, signal.SIGBUS)
  with pytest.raises(UserError, match=r'workers=1 needs shared memory, .* has none left: .*--shm-size'):
    drawn(made, 20)
  made.close()


def fail_at_seven(number):
  if number == 7:
    raise TypeError('number 7 is wrong')
  return number


def test_an_error_in_a_worker_is_raised_here():
  batches = Batches(grain.MapDataset.range(1 << 30).map(fail_at_seven), 1, 1)
  with pytest.raises(TypeError, match='number 7 is wrong'):
    for _ in range(23):
      next(batches)
  batches.close()


def test_the_death_of_a_worker_is_an_error_and_not_a_wait():
  before = set(multiprocessing.active_children())
  batches = numbered(workers=2)
  next(batches)
  victim, *_ = set(multiprocessing.active_children()) - before
  os.kill(victim.pid, signal.SIGKILL)
  began = time.monotonic()
  with pytest.raises(RuntimeError, match='exit code -9'):
    drawn(batches, 20)
  assert time.monotonic() - began < 10
  batches.close()


def test_workers_end_with_a_training_that_is_killed():
  """Grain's own workers would wait for ever, and keep the pipe open."""
  script = (
    'import os, signal, grain; from absl import flags; flags.FLAGS.mark_as_parsed()\n'
    'from data_pipeline import batches\n'
    'if __name__ == "__main__":\n'
    '  next(iter(batches.in_processes(grain.MapDataset.range(9), 1)))\n'
    '  os.kill(os.getpid(), signal.SIGKILL)\n'
  )
  training = subprocess.run([sys.executable, '-c', script], stdout=subprocess.PIPE, timeout=60)
  assert training.returncode == -signal.SIGKILL
