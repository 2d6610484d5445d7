"""Trains a sync expert or a generator.

  python train.py --config=configs/lrs2_sync_expert.py --workdir=runs/expert
  python train.py --config=configs/lrs2.py --workdir=runs/lrs2 --config.sync_expert=runs/expert/checkpoint

Any value of the config can be given as a flag (--config.data.batch_size=32). A run in --workdir is resumed.
"""

from pathlib import Path

from absl import flags
from ml_collections import config_flags

from lpips_jax import cli

config_flags.DEFINE_config_file('config', None, 'What to train: a file of configs/.', lock_config=True)
flags.DEFINE_string('workdir', None, 'Where checkpoints, logs and samples go.')


def main() -> None:
  cli.require_flags('config', 'workdir')
  config, workdir = flags.FLAGS.config, Path(flags.FLAGS.workdir)

  import jax  # here, so that bad flags are told at once, and data workers start fast

  from data_pipeline import input as data
  from lpips_jax.training.loop import train

  train(
    config,
    workdir,
    lambda config: (data.train_batches(config, jax.process_index(), jax.process_count()), data.eval_batches(config)),
  )
  print(f'checkpoint: {workdir / "checkpoint"}')


if __name__ == '__main__':
  cli.run(main)
