"""Training runs for tests: tiny configs, and a power cut in the middle of one."""

from pathlib import Path

from ml_collections import ConfigDict

from benchmarks.tiny import TINY_OVERRIDES
from configs import quickstart
from lpips_jax.training.generator_losses import LPIPS, networks_needed

ROOT = Path(__file__).parents[2]


def tiny_config(name: str, directory: Path) -> ConfigDict:
  """The config of quickstart.py of that name, shrunk until two steps of it are a matter of seconds.

  The frozen networks that it needs are expected in the directory, under their own names.
  """
  config = quickstart.get_config(name)
  config.update_from_flattened_dict(TINY_OVERRIDES[name])
  config.data.update(data_dir=str(directory / 'data'), batch_size=2)
  if config.task == 'generator':
    for network in networks_needed(config.losses) - {LPIPS}:
      config[network] = str(directory / network / 'checkpoint')
  config.optimizer.update(warmup_steps=1, cosine=False)  # a run of any length is then one and the same program
  config.update(steps=2, log_every=1, eval_every=2, checkpoint_every=2)
  return config


def run(config: ConfigDict, workdir: Path, batches=None):
  from data_pipeline import input as data
  from lpips_jax.training.loop import TrainData, train

  def open_data(config: ConfigDict) -> TrainData:
    return TrainData(batches or data.train_batches(config), data.eval_batches(config), data.clips_to_watch(config))

  return train(config, workdir, open_data)


def no_data(config: ConfigDict):
  """Raises in place of opening the data: for runs that must come as far as that, and no farther."""
  raise RuntimeError('no data')


class PowerCut(Exception):
  pass


def cut_after(monkeypatch, steps):
  """Ends the training loop after some steps, as a power cut would."""
  from lpips_jax.training.logs import RunLog

  advance = RunLog.advance
  made = []

  def cut(log):
    advance(log)
    made.append(1)
    if len(made) == steps:
      raise PowerCut

  monkeypatch.setattr(RunLog, 'advance', cut)
