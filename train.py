"""Trains a sync expert or a generator.

  python train.py --config=configs/lrs2_sync_expert.py --workdir=runs/expert
  python train.py --config=configs/lrs2.py --workdir=runs/lrs2 --config.sync_expert=runs/expert/checkpoint

Any value of the config can be given as a flag (--config.data.batch_size=32). A run in --workdir is resumed. Directories
may be in buckets (gs://bucket/run). On a TPU pod and under SLURM the processes find each other; elsewhere give each
--coordinator, --processes and --process.
"""

import contextlib
import signal
import sys

from absl import flags
from ml_collections import ConfigDict, config_flags

from lpips_jax.core import cli
from lpips_jax.core.endings import TRY_AGAIN
from lpips_jax.core.files import shown
from lpips_jax.training import multihost, paths

config_flags.DEFINE_config_file('config', None, 'Config of the run: a file of configs/.', lock_config=True)
flags.DEFINE_string('workdir', None, 'Where checkpoints, logs and samples go.')
flags.DEFINE_string('coordinator', None, 'host:port of the first of several processes.')
flags.DEFINE_integer('processes', None, 'Number of processes that train together.', lower_bound=1)
flags.DEFINE_integer('process', None, 'The index of this one, from 0.', lower_bound=0)


def main() -> None:
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(TRY_AGAIN))  # until there is something to save
  cli.require_flags('config', 'workdir')
  config = flags.FLAGS.config

  import jax  # here, so that bad flags are reported at once, and data workers start fast

  from data_pipeline import input as data
  from lpips_jax.storage.places import is_remote
  from lpips_jax.storage.working_copy import working_copy
  from lpips_jax.training.loop import TrainData, train

  multihost.join(flags.FLAGS.coordinator, flags.FLAGS.processes, flags.FLAGS.process)

  def open_data(config: ConfigDict) -> TrainData:
    share = jax.process_index(), jax.process_count()
    # It draws the embedded corpus; of a bucket's, each host copies what it reads.
    with contextlib.nullcontext() if is_remote(config.data.data_dir) else multihost.first_process_first():
      batches = data.train_batches(config, *share)
    return TrainData(batches, data.eval_batches(config, *share), data.clips_to_watch(config, *share))

  with contextlib.ExitStack() as copies:
    with multihost.first_process_first():  # which takes the lease of a bucket's directory
      workdir = copies.enter_context(working_copy(flags.FLAGS.workdir, jax.process_index()))
    steps = int(train(config, workdir, open_data).step)
  if steps:
    print(f'checkpoint: {shown(str(workdir / "checkpoint"))}')
  if steps < config.steps:
    sys.exit(TRY_AGAIN)


if __name__ == '__main__':
  cli.run(main, fail_together=multihost.fail_together, remote=('workdir', *paths.FLAGS))
