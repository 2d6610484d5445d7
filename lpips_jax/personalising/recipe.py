"""The recipe of tuning: the base's own config on the person's videos, a short run, and most of the way back again.

The checkpoint that dubs lies between the base and what it was tuned to: see `interpolated`.
"""

import dataclasses
import shutil
from pathlib import Path

import jax
from ml_collections import ConfigDict

from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import whole_directory
from lpips_jax.core.machine import available_cores
from lpips_jax.pretrained import model_card

STEPS = 400
# How far the checkpoint lies from the base towards the tuned weights: with a minute of one man's speech, the generated
# lips then moved about as much as his do.
TUNED_SHARE = 0.3
LEARNING_RATE_SHARE = 0.3  # of the base's learning rate
MAX_BATCH_SIZE = 8  # windows a step, which a CPU can do
NEVER_MERGED = 'model', 'perceptual', 'discriminator'  # parts of a config whose values belong together
EVALUATIONS = 5  # in a run, with a checkpoint each


def read_base(checkpoint: str, sync_expert: str) -> ConfigDict:
  """Reads the config of a base, without loading its weights.

  Args:
    checkpoint: a generator's checkpoint directory, or one of its steps.
    sync_expert: the expert to tune with; '' for the one kept beside the base.

  Raises:
    UserError: the checkpoint is not a generator that can be tuned, or there is no expert.
  """
  directory = pretrained.find(checkpoint)
  config = pretrained.read_config(directory)
  if config.get('task') != 'generator':
    raise UserError(f'checkpoint={checkpoint} holds a {config.get("task")}, not a generator', 'checkpoint')
  if sync_expert:
    pretrained.load_expert(sync_expert)
  elif not (directory / pretrained.SYNC_EXPERT).is_dir():
    problem = 'keeps no sync expert to tune with: give one as sync_expert'
    raise UserError(f'checkpoint={checkpoint} {problem}', 'checkpoint', 'sync_expert')
  return config


def tuning_config(base: ConfigDict, defaults: ConfigDict, steps: int) -> ConfigDict:
  """Returns the config of a tuning run; the caller fills in the data, init_from and the sync expert.

  Args:
    base: the config of the base.
    defaults: a config with every key that training reads, for those that `base` lacks, such as all that a converted
      network was never trained with.
    steps: the length of the run.
  """
  config = _merged(base, defaults)
  config.seed = 0
  config.data.update(
    batch_size=min(config.data.batch_size, MAX_BATCH_SIZE),
    windows=1,
    eval_batches=min(config.data.eval_batches, MAX_BATCH_SIZE),
    workers=min(config.data.workers, available_cores() // 2),
  )
  config.optimizer.learning_rate *= LEARNING_RATE_SHARE
  config.optimizer.update(cosine=True, warmup_steps=min(steps // 10, 50), scaling='none')
  config.losses.adversarial_start = min(config.losses.adversarial_start, steps // 4)
  for name, warmup in config.losses.warmup_steps.items():
    config.losses.warmup_steps[name] = min(warmup, steps // 4)
  every = max(1, steps // EVALUATIONS)
  config.update(steps=steps, log_every=max(5, steps // 40), eval_every=every, checkpoint_every=every)
  config.update(keep=1, keep_best=0, accumulate=1, writers='jsonl,tensorboard', profile='')
  return config


def interpolated(base: pretrained.Pretrained, tuned: pretrained.Pretrained) -> pretrained.Pretrained:
  """Returns the network whose weights and statistics lie `TUNED_SHARE` of the way from the base to the tuned network.

  From a minute of video a network soon learns what the person looks like, and as soon unlearns to move the mouth:
  speech determines little of how lips look, and a mouth that hardly moves has the least error. Between the two networks
  (Wortsman et al., arXiv 2109.01903) it looks more like the person, and moves about as far as they do.
  """
  variables = jax.tree.map(lambda x, y: x + TUNED_SHARE * (y - x), base.variables, tuned.variables)
  return dataclasses.replace(tuned, variables=variables)


def save_interpolated(directory: Path, base: pretrained.Pretrained, tuning: Path) -> None:
  """Writes the `interpolated` network as a checkpoint directory with the run's sync expert, complete or not at all.

  Args:
    directory: is created, or replaced.
    base: the network that the run started from.
    tuning: the run's checkpoint directory.
  """
  network = interpolated(base, pretrained.load_weights(tuning))
  shutil.rmtree(directory, ignore_errors=True)
  with whole_directory(directory) as part:
    pretrained.save(part, network)
    shutil.copytree(tuning / pretrained.SYNC_EXPERT, part / pretrained.SYNC_EXPERT)
    model_card.write(part, network.config, network.variables, network.step, None)


def _merged(values: ConfigDict, defaults: ConfigDict) -> ConfigDict:
  """Returns the defaults, overridden by `values`; lists become tuples again, which JSON does not have."""
  merged = dict(defaults.items())
  for name, value in values.items():
    if isinstance(value, ConfigDict):
      default = merged.get(name) if name not in NEVER_MERGED else None
      merged[name] = _merged(value, default if isinstance(default, ConfigDict) else ConfigDict())
    else:
      merged[name] = tuple(value) if isinstance(value, list) else value
  return ConfigDict(merged)
