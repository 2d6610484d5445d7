"""One of two processes that train as one, for `test_two_processes`: saves, goes on, is preempted, and fails.

  python pair.py --directory=DIR --coordinator=localhost:PORT --process=I
  python pair.py --directory=DIR --coordinator=localhost:PORT --process=I --run=NAME --steps=N --every=M

DIR holds the corpus, and gets the run. The second form only trains, for N steps that each take some time, in which a
test can disturb it.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import jax
from absl import flags
from runs import tiny_config

from data_pipeline import input as data
from lpips_jax.core import cli
from lpips_jax.core.endings import TRY_AGAIN
from lpips_jax.core.errors import UserError
from lpips_jax.training import heartbeat, multihost, sharding
from lpips_jax.training.loop import TrainData, train

flags.DEFINE_string('directory', None, 'Directory that the tests share.')
flags.DEFINE_string('coordinator', None, 'host:port of the first process.')
flags.DEFINE_integer('processes', 2, 'Number of processes.')
flags.DEFINE_integer('process', None, 'The index of this one.')
flags.DEFINE_string('run', None, 'Only train, in this directory of --directory.')
flags.DEFINE_integer('steps', None, 'Number of steps of --run.')
flags.DEFINE_integer('every', None, 'Steps between two saves of --run.')
flags.DEFINE_float('silent', heartbeat.SILENT_SECONDS, 'Seconds without a heartbeat after which a process is lost.')
flags.DEFINE_float('hold', 0, 'Seconds for which the first step holds the lock of the interpreter, as C++ may do.')
flags.DEFINE_float('skew', 0, 'Seconds by which the clocks of this process are ahead.')

PREEMPTED_AT = 6


def main() -> None:
  given = flags.FLAGS
  heartbeat.SILENT_SECONDS = given.silent
  skew_clocks(given.skew)
  multihost.join(given.coordinator, given.processes, given.process)
  directory = Path(given.directory)
  if given.run:
    only_train(directory)
    return
  config = tiny_config('sync_expert', directory)
  config.data.batch_size = 4
  config.update(eval_every=2, checkpoint_every=2)
  for steps in 2, 4:
    config.steps = steps
    reach(config, directory / 'run')
  config.update(steps=1000, checkpoint_every=1000, eval_every=1000)
  config.data.workers = 1
  preempt_the_second_process()
  reach(config, directory / 'run')
  if given.process == 0:
    raise UserError('the first process has\nfailed')
  config.steps = 2000
  reach(config, directory / 'alone')  # waits for the first process, which never comes


def only_train(directory: Path) -> None:
  given = flags.FLAGS
  config = tiny_config('sync_expert', directory)
  config.data.batch_size = 8
  config.update(steps=given.steps, eval_every=1000, checkpoint_every=given.every)
  slow_down_steps(given.hold)
  reach(config, directory / given.run)


def slow_down_steps(hold: float) -> None:
  put_batch, held = sharding.put_batch, []

  def slow(batch, mesh):
    time.sleep(0.1)
    if hold and not held:
      held.append(ctypes.PyDLL(None).usleep(int(hold * 1e6)))  # PyDLL keeps the lock
    return put_batch(batch, mesh)

  sharding.put_batch = slow


def skew_clocks(seconds: float) -> None:
  wall, monotonic = time.time, time.monotonic
  time.time, time.monotonic = lambda: wall() + seconds, lambda: monotonic() + seconds


def reach(config, workdir: Path) -> None:
  step = int(train(config, workdir, open_data).step)
  print(f'reached {step}', flush=True)
  if flags.FLAGS.run and step < config.steps:
    sys.exit(TRY_AGAIN)


def open_data(config) -> TrainData:
  share = jax.process_index(), jax.process_count()
  with multihost.first_process_first():
    batches = data.train_batches(config, *share)
  return TrainData(batches, data.eval_batches(config, *share), data.clips_to_watch(config))


def preempt_the_second_process() -> None:
  """Sends SIGTERM to all of its processes, as schedulers do, once it has put the batch of a step on devices."""
  put_batch, put = sharding.put_batch, []

  def preempted(batch, mesh):
    put.append(1)
    if len(put) == PREEMPTED_AT - 4 + 1 and jax.process_index() == 1:  # the first is the evaluation's
      os.killpg(os.getpgid(0), signal.SIGTERM)
    return put_batch(batch, mesh)

  sharding.put_batch = preempted


if __name__ == '__main__':
  cli.run(main, fail_together=multihost.fail_together)
