"""The logs of a run: TensorBoard's files, and errors on a full disk that name the file."""

import json
import resource
import struct
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from configs import lrs2
from lpips_jax.core import files
from lpips_jax.training.logs import Pace, RunLog


def open_log(workdir, done=0, **changes):
  config = lrs2.get_config()
  config.update(steps=9, **changes)
  return RunLog(workdir, config, done)


def events(directory):
  """The events in TensorBoard's files, in the order written."""
  found = []
  for path in sorted(directory.iterdir()):
    data = path.read_bytes()
    while data:
      (length,) = struct.unpack('<Q', data[:8])
      found.append(Event.FromString(data[12 : 12 + length]))
      data = data[16 + length :]
  return found


def test_tensorboard_has_what_was_logged_and_where_the_run_went_on(tmp_path):
  with open_log(tmp_path, 4) as log:
    log.train(5, {'loss': 0.5, 'grad_norm': 2.0})
    log.evaluation(6, {'loss': 0.25})
    log.samples(6, [np.zeros((2, 4, 4, 3))])
    log.diagnosis(6, np.zeros((4, 4, 3), np.uint8), 'in sync')
    seen = events(tmp_path / 'tensorboard')  # at once: a run that is killed has lost nothing
  version, begun, *shown = seen
  assert version.file_version == 'brain.Event:2'
  assert (begun.step, begun.session_log.status) == (5, SessionLog.START)
  values = [(event.step, value) for event in shown for value in event.summary.value]
  assert [(step, value.tag, value.simple_value) for step, value in values[:3]] == [
    (5, 'train/loss', 0.5),
    (5, 'train/grad_norm', 2.0),
    (6, 'eval/loss', 0.25),
  ]
  assert [value.tag for _, value in values[3:]] == ['samples', 'diagnosis', 'diagnosis/text_summary']
  assert values[3][1].image.encoded_image_string.startswith(b'\x89PNG')
  assert values[5][1].tensor.string_val == [b'in sync']


@pytest.mark.parametrize(
  ('name', 'write'),
  [
    ('metrics.jsonl', lambda log: log.train(1, {'loss': 0.5})),
    ('tensorboard', lambda log: log.samples(1, [np.random.default_rng(0).random((1, 64, 64, 3))])),
  ],
)
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, name, write):
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  try:
    with pytest.raises(OSError, match=name), open_log(tmp_path) as log:
      resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
      write(log)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_times_are_in_every_writer(tmp_path):
  seconds = {'steps': 30.0, 'start': 4.0, 'compile': 3.0, 'input': 1.0, 'evaluation': 1.0, 'saving': 1.0, 'faults': 0.0}
  with open_log(tmp_path) as log:
    log.times(5, seconds)
  (line,) = map(json.loads, (tmp_path / 'metrics.jsonl').read_text().splitlines())
  assert line.pop('wall') > 1.7e9
  assert line == {'step': 5, 'kind': 'time', 'goodput': 0.75} | seconds
  shown = {value.tag: value.simple_value for event in events(tmp_path / 'tensorboard') for value in event.summary.value}
  assert shown['time/goodput'] == 0.75 and shown['time/steps'] == 30


def test_a_log_without_json_lines_says_what_needs_them(tmp_path, capsys):
  with open_log(tmp_path, writers='tensorboard'):
    pass
  assert not (tmp_path / 'metrics.jsonl').exists()
  said = capsys.readouterr().out
  assert said == 'config.writers has no jsonl: there will be no report, and goodput counts each attempt by itself\n'


def test_lines_name_the_bucket_of_a_copy(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(files, '_shown_names', {str(tmp_path): 'gs://bucket/run'})
  with open_log(tmp_path) as log:
    log.say(f'the profile is in {tmp_path / "profile"}')
  assert capsys.readouterr().out == 'the profile is in gs://bucket/run/profile\n'


def test_rates_leave_out_evaluations_and_saves():
  seconds = {'steps': 1.0, 'input': 0.5, 'evaluation': 0.0, 'saving': 0.0}
  pace = Pace(10, 2e12, jax.devices()[:1], SimpleNamespace(seconds=lambda: seconds))
  assert pace.rates(4) == {}
  seconds |= {'steps': 4.0, 'input': 1.5, 'evaluation': 99.0, 'saving': 99.0}
  assert pace.rates(12) == {'steps_per_second': 2.0, 'frames_per_second': 20.0, 'tflops': 4.0}
