"""One of two processes that train as one, for `test_two_processes`: saves, goes on, is preempted, and fails.

  python pair.py --directory=DIR --coordinator=localhost:PORT --process=I

DIR holds the corpus, and gets the run.
"""

import os
import signal
from pathlib import Path

import jax
from absl import flags
from runs import tiny_config

from data_pipeline import input as data
from lpips_jax.core import cli
from lpips_jax.core.errors import UserError
from lpips_jax.training import multihost, sharding
from lpips_jax.training.loop import TrainData, train

flags.DEFINE_string('directory', None, 'Directory that the tests share.')
flags.DEFINE_string('coordinator', None, 'host:port of the first process.')
flags.DEFINE_integer('processes', 2, 'Number of processes.')
flags.DEFINE_integer('process', None, 'The index of this one.')

PREEMPTED_AT = 6


def main() -> None:
  given = flags.FLAGS
  multihost.join(given.coordinator, given.processes, given.process)
  directory = Path(given.directory)
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


def reach(config, workdir: Path) -> None:
  state = train(config, workdir, open_data)
  print(f'reached {int(state.step)}', flush=True)


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
