"""Training runs for tests: tiny configs, and a power cut in the middle of one."""

from pathlib import Path

from ml_collections import ConfigDict

from benchmarks.tiny import TINY_OVERRIDES
from configs import quickstart

ROOT = Path(__file__).parents[2]


def tiny_config(task: str, directory: Path) -> ConfigDict:
  """The quickstart config, shrunk until two steps of it are a matter of seconds."""
  config = quickstart.get_config(task)
  config.update_from_flattened_dict(TINY_OVERRIDES[task])
  config.data.update(data_dir=str(directory / 'data'), batch_size=2)
  if task == 'generator':
    config.sync_expert = str(directory / 'sync_expert' / 'checkpoint')
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
