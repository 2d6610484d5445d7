"""The logs of a run: TensorBoard's files, and errors on a full disk that name the file."""

import resource
import struct

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from lpips_jax.training.logs import RunLog


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
  with RunLog(tmp_path, 9, 4, 'generator') as log:
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
    with pytest.raises(OSError, match=name), RunLog(tmp_path, 9, 0, 'generator') as log:
      resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
      write(log)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
