"""Weights & Biases and MLflow, in the user's own directory: what they show of a run, and of one that went on."""

import json
import sqlite3
import struct
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from configs import lrs2
from lpips_jax.core import files
from lpips_jax.training import trackers
from lpips_jax.training.logs import RunLog

SCALARS = [(10, 'train/loss', 0.5), (20, 'train/loss', 0.25), (20, 'eval/loss', 1.0), (30, 'train/loss', 0.125)]


@pytest.fixture(autouse=True)
def no_services(monkeypatch):
  """Takes away the environment that names services, and what the writers set for themselves."""
  for name in 'WANDB_MODE', 'WANDB_API_KEY', 'WANDB_PROJECT', 'MLFLOW_TRACKING_URI', 'MLFLOW_EXPERIMENT_NAME':
    monkeypatch.delenv(name, raising=False)
  for name, value in trackers.DEFAULTS.items():
    monkeypatch.setenv(name, value)


def log_twice(workdir, writer):
  """Logs a run that is killed at step 20, and repeats what follows step 10."""
  config = lrs2.get_config()
  config.writers = f'jsonl,{writer}'
  picture = np.zeros((8, 8, 3), np.uint8)
  for done, steps in (0, (10, 20)), (10, (20, 30)):
    with RunLog(workdir, config, done) as log:
      for step in steps:
        log.train(step, {'loss': 5 / step if step < 30 else 0.125})
        if step == 20:
          log.evaluation(20, {'loss': 1.0})
          log.diagnosis(20, picture, 'in sync')
          log.video(20, np.zeros((4, 32, 32, 3), np.uint8), None)


def test_a_run_in_a_bucket_has_its_name_there(tmp_path, monkeypatch):
  assert trackers._run_name(tmp_path) == tmp_path.name
  monkeypatch.setattr(files, '_shown_names', {str(tmp_path): 'gs://bucket/runs/lrs2'})
  assert trackers._run_name(tmp_path) == 'lrs2'


@pytest.mark.slow
def test_mlflow_has_each_step_once(tmp_path, caplog):
  pytest.importorskip('mlflow')
  log_twice(tmp_path, 'mlflow')
  assert not caplog.records
  database = sqlite3.connect(tmp_path / 'mlflow' / 'mlflow.db')
  assert database.execute('select step, key, value from metrics order by timestamp, step').fetchall() == SCALARS
  assert database.execute('select status, name from runs').fetchall() == [('FINISHED', tmp_path.name)]
  parameters = dict(database.execute('select key, value from params').fetchall())
  assert parameters['optimizer.learning_rate'] == '0.0001' and len(parameters) > 60
  artifacts = [path.name for path in (tmp_path / 'mlflow' / 'artifacts').rglob('*.*')]
  assert '0000020.mp4' in artifacts and artifacts.count('0000020.txt') == 1


def test_wandb_keeps_a_run_for_later_and_has_each_step_once(tmp_path, caplog):
  pytest.importorskip('wandb')
  log_twice(tmp_path, 'wandb')
  assert not caplog.records
  kept = sorted((tmp_path / 'wandb').rglob('*.wandb'))
  assert len(kept) == 2 and len({path.name for path in kept}) == 1  # two attempts, one run
  assert sorted(entry for path in kept for entry in history(path)) == sorted(SCALARS)
  assert len(list((tmp_path / 'wandb').rglob('video_20_*.mp4'))) == 1


def history(path):
  """The losses in a file that wandb keeps for `wandb sync`: protocol buffers in a log of LevelDB's."""
  from wandb.proto import wandb_internal_pb2

  data, position, parts, found = path.read_bytes(), 7, b'', []
  while position + 7 <= len(data):
    left = 2**15 - position % 2**15  # of the block
    if left < 7:
      position += left
      continue
    _, length, kind = struct.unpack_from('<IHB', data, position)
    parts += data[position + 7 : position + 7 + length]
    position += 7 + length
    if kind in (1, 4):  # whole, or its last part
      record, parts = wandb_internal_pb2.Record.FromString(parts), b''
      items = {item.key or '/'.join(item.nested_key): item.value_json for item in record.history.item}
      losses = [(key, json.loads(value)) for key, value in items.items() if key.endswith('/loss')]
      found += [(record.history.step.num, *pair) for pair in losses]
  return found


def test_wandb_goes_online_for_those_who_have_logged_in(tmp_path, monkeypatch):
  """A stand-in for the package notes what it is asked for: the real one would ask its server."""
  asked = []
  fake = ModuleType('wandb')
  fake.Settings = dict
  fake.errors = SimpleNamespace(CommError=ConnectionError)
  fake.login, fake.teardown = lambda **_: True, lambda: asked.append('let go')

  def logged(values, step):
    asked.append((step, values))

  def init(mode, **options):
    asked.append((mode, options['id'], options['project']))
    if mode == 'online':
      raise ConnectionError('no network')
    return SimpleNamespace(id='abc', log=logged, finish=lambda exit_code: None)

  fake.init = init
  monkeypatch.setitem(sys.modules, 'wandb', fake)
  config = lrs2.get_config()
  config.writers = 'jsonl,wandb'
  with RunLog(tmp_path, config, 0) as log:
    log.train(10, {'loss': 0.5})
  assert asked == [('online', None, 'lpips-jax'), 'let go', ('offline', None, 'lpips-jax'), (10, {'train/loss': 0.5})]
  asked.clear()
  monkeypatch.setenv('WANDB_MODE', 'offline')
  monkeypatch.setenv('WANDB_PROJECT', 'lips')
  with RunLog(tmp_path, config, 10):
    pass
  assert asked == [('offline', 'abc', 'lips')]
