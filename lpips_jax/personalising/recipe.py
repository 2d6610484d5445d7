"""How a base is tuned: its own config, on the person's videos, for a short while, and most of the way back."""

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
SHARE = 0.3  # of the way to what a base was tuned to: lips of one man, filmed for a minute, then moved about as his do
RATE = 0.3  # of the learning rate that the base was trained with
BATCH = 8  # windows a step at most, which a CPU can do
WHOLE = 'model', 'perceptual', 'discriminator'  # parts of a config that belong together
EVALUATIONS = 5  # in a run, and checkpoints


def read_base(checkpoint: str, sync_expert: str) -> ConfigDict:
  """Reads the config of a base, without loading its weights.

  Args:
    checkpoint: a generator's checkpoint directory, or one of its steps.
    sync_expert: the expert to tune with; '' for the one that is kept with the base.

  Raises:
    UserError: it is no generator that can be tuned, or there is no expert.
  """
  directory = pretrained.find(checkpoint)
  config = pretrained.read_config(directory)
  if config.get('task') != 'generator':
    raise UserError(f'--checkpoint={checkpoint} holds a {config.get("task")}, not a generator')
  if sync_expert:
    pretrained.load_expert(sync_expert)
  elif not (directory / pretrained.SYNC_EXPERT).is_dir():
    raise UserError(f'--checkpoint={checkpoint} keeps no sync expert to tune with: give one with --sync_expert')
  return config


def tuning(base: ConfigDict, defaults: ConfigDict, steps: int) -> ConfigDict:
  """Returns the config that tunes a base for so many steps; data, start and expert are left to be named.

  Args:
    base: its config; what it lacks, such as what a converted network was never trained with, is taken from
    defaults: a config with every key that training reads.
    steps: of the run.
  """
  config = _over(base, defaults)
  config.seed = 0
  config.data.update(
    batch_size=min(config.data.batch_size, BATCH),
    windows=1,
    eval_batches=min(config.data.eval_batches, BATCH),
    workers=min(config.data.workers, available_cores() // 2),
  )
  config.optimizer.learning_rate *= RATE
  config.optimizer.update(cosine=True, warmup_steps=min(steps // 10, 50), scaling='none')
  config.losses.adversarial_start = min(config.losses.adversarial_start, steps // 4)
  for name, warmup in config.losses.warmup_steps.items():
    config.losses.warmup_steps[name] = min(warmup, steps // 4)
  every = max(1, steps // EVALUATIONS)
  config.update(steps=steps, log_every=max(5, steps // 40), eval_every=every, checkpoint_every=every)
  config.update(keep=1, keep_best=0, accumulate=1)
  return config


def part_way(base: pretrained.Pretrained, tuned: pretrained.Pretrained) -> pretrained.Pretrained:
  """Returns the network that lies `SHARE` of the way from a base to what it was tuned to: weights and statistics.

  Of a minute of video a network learns soon what the person looks like, and unlearns as soon to move the mouth: of most
  of how lips look speech says nothing, and a mouth that hardly moves errs least. Between the two (Wortsman et al.,
  arXiv 2109.01903) it looks more like the person, and moves about as far as they do.
  """
  variables = jax.tree.map(lambda x, y: x + SHARE * (y - x), base.variables, tuned.variables)
  return dataclasses.replace(tuned, variables=variables)


def keep_part_way(directory: Path, base: pretrained.Pretrained, tuning: Path) -> None:
  """Writes `part_way` as a checkpoint directory, with the frozen networks of the run; whole or not at all.

  Args:
    directory: is made, or replaced.
    base: what the run started from.
    tuning: the run's checkpoint directory.
  """
  network = part_way(base, pretrained.load(tuning))
  shutil.rmtree(directory, ignore_errors=True)
  with whole_directory(directory) as beside:
    pretrained.save(beside, network)
    model_card.write(beside, network.config, network.variables, network.step, None)
    shutil.copytree(tuning / pretrained.SYNC_EXPERT, beside / pretrained.SYNC_EXPERT)


def _over(values: ConfigDict, defaults: ConfigDict) -> ConfigDict:
  """The defaults with values in place of theirs; lists become the tuples that JSON has lost."""
  merged = dict(defaults.items())
  for name, value in values.items():
    if isinstance(value, ConfigDict):
      beneath = merged.get(name) if name not in WHOLE else None
      merged[name] = _over(value, beneath if isinstance(beneath, ConfigDict) else ConfigDict())
    else:
      merged[name] = tuple(value) if isinstance(value, list) else value
  return ConfigDict(merged)
