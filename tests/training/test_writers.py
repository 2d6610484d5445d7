"""Writers of a run's log: what each keeps, where a run goes on, and names that no writer has."""

import json
import struct

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from configs import lrs2
from lpips_jax.core.errors import UserError
from lpips_jax.training import writers
from lpips_jax.training.writers import TensorBoard, check_writers, open_writers


def config(names='jsonl,tensorboard'):
  made = lrs2.get_config()
  made.writers = names
  return made


def events(path):
  """The events in a file of TensorBoard's."""
  found, data = [], path.read_bytes()
  while data:
    (length,) = struct.unpack('<Q', data[:8])
    found.append(Event.FromString(data[12 : 12 + length]))
    data = data[16 + length :]
  return found


def lines(workdir):
  return [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]


def test_json_lines_go_on_where_the_run_does(tmp_path):
  (log,) = open_writers(tmp_path, config('jsonl'), 0)
  for step in (1, 2, 3):
    log.scalars(step, 'train', {'loss': step / 2})
  log.close(True)
  with (tmp_path / 'metrics.jsonl').open('a') as file:
    file.write('{"step": 1, "kind": "tr')  # the run was killed
  (log,) = open_writers(tmp_path, config('jsonl'), 2)
  log.scalars(3, 'eval', {'loss': 0.25})
  found = lines(tmp_path)  # at once: a run that is killed has lost nothing
  assert [(line['step'], line['kind'], line['loss']) for line in found] == [
    (1, 'train', 0.5),
    (2, 'train', 1.0),
    (3, 'eval', 0.25),
  ]
  assert sorted(line['wall'] for line in found) == [line['wall'] for line in found]
  log.close(False)


def test_a_large_file_of_events_is_followed_by_another(tmp_path, monkeypatch):
  monkeypatch.setattr(writers, 'ROTATED_BYTES', 10_000)
  noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
  for done in (0, 12):  # in the same second
    log = TensorBoard(tmp_path, config(), done)
    for step in range(done + 1, done + 13):
      log.picture(step, 'samples', noise)
    log.close(False)
  files = sorted((tmp_path / 'tensorboard').iterdir())
  assert len(files) > 4 and all(path.stat().st_size < 16_000 for path in files)
  found = [events(path) for path in files]
  assert all(each[0].file_version == 'brain.Event:2' for each in found)
  assert [event.step for each in found for event in each if event.summary.value] == list(range(1, 25))
  starts = [event.step for each in found for event in each if event.session_log.status == SessionLog.START]
  assert starts == [1, 13]  # what is there of a run stays when a file is full


def test_names(monkeypatch, tmp_path):
  check_writers('jsonl')
  check_writers('tensorboard, jsonl,jsonl')
  (once,) = open_writers(tmp_path, config('jsonl, jsonl'), 0)
  once.close(False)
  for text in '', 'json', 'jsonl,', "('jsonl',)":
    with pytest.raises(UserError, match=r'config\.writers=.*: give some of jsonl,tensorboard,wandb,mlflow'):
      check_writers(text)
  monkeypatch.setattr(writers, 'find_spec', lambda name: None)
  for name in 'wandb', 'mlflow':
    with pytest.raises(UserError, match=rf"needs the package {name}: pip install -e '\.\[{name}\]'$"):
      check_writers(f'jsonl,{name}')
