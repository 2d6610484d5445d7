"""Writers of services: what goes wrong with them costs a warning, and a run that goes on says nothing twice."""

import json
import threading
import time

import numpy as np
import pytest

from configs import lrs2
from lpips_jax.training import background
from lpips_jax.training.background import Background, Service, known_id

CONFIG = lrs2.get_config()


class Fake(Service):
  """Notes what it is given."""

  needs = 'fake'

  def __init__(self, workdir, config, done):
    self.id = known_id(workdir, 'fake') or f'run {len(self.seen)}'
    self.seen.append(('opened', self.id))

  def scalars(self, step, kind, values):
    self.seen.append((step, kind))

  def picture(self, step, name, image):
    self.seen.append((step, name))

  def text(self, step, name, text):
    self.seen.append((step, text))

  def close(self, failed):
    self.seen.append(('closed', failed))


@pytest.fixture
def service(monkeypatch):
  """A `Fake` of this test alone."""
  return type('Fake', (Fake,), {'seen': []})


def test_a_run_goes_on_under_its_id_and_says_nothing_twice(service, tmp_path):
  log = Background('fake', service, tmp_path, CONFIG, 0)
  for step in (10, 20, 30):
    log.scalars(step, 'train', {})
  log.picture(30, 'diagnosis', np.zeros((1, 1, 3), np.uint8))
  log.text(30, 'diagnosis', 'fine')
  log.close(True)
  first = [('opened', 'run 0'), (10, 'train'), (20, 'train'), (30, 'train'), (30, 'diagnosis'), (30, 'fine')]
  assert service.seen == [*first, ('closed', True)]
  service.seen.clear()
  log = Background('fake', service, tmp_path, CONFIG, 20)  # killed behind the save of step 20
  for step in (30, 40):
    log.scalars(step, 'train', {})
    log.scalars(step, 'eval', {})
  log.close(False)
  assert service.seen == [('opened', 'run 0'), (30, 'eval'), (40, 'train'), (40, 'eval'), ('closed', False)]


def test_a_run_that_saved_nothing_begins_as_a_new_one(service, tmp_path):
  for _ in range(2):
    log = Background('fake', service, tmp_path, CONFIG, 0)
    log.scalars(1, 'train', {})
    log.close(True)
  assert service.seen[3:5] == [('opened', 'run 3'), (1, 'train')]


@pytest.mark.parametrize('text', ['', '[1]', '{"id"', 'null'])
def test_a_damaged_memory_is_none(service, tmp_path, text):
  (tmp_path / 'fake.json').write_text(text)
  Background('fake', service, tmp_path, CONFIG, 1).close(False)
  assert json.loads((tmp_path / 'fake.json').read_text()) == {'id': 'run 0', 'steps': {}}


def test_a_service_that_cannot_be_opened_costs_one_warning(service, tmp_path, caplog, monkeypatch):
  monkeypatch.setattr(background, 'MAX_WAITING', 3)

  def refuse(*_):
    raise ConnectionError('nobody there')

  log = Background('fake', refuse, tmp_path, CONFIG, 0)
  for step in range(9):
    log.scalars(step, 'train', {})
  log._thread.join()
  for step in range(9):
    log.scalars(step, 'train', {})
  log.close(False)
  said = [record.getMessage() for record in caplog.records if 'goes on' in record.getMessage()]
  assert said == ['fake cannot be used, the run goes on without it (ConnectionError: nobody there)']


def test_failures_cost_one_warning_and_those_calls(service, tmp_path, caplog):
  def scalars(self, step, kind, values):
    if step < 4:
      raise ConnectionError(f'at {step}')
    self.seen.append((step, kind))

  service.scalars = scalars
  log = Background('fake', service, tmp_path, CONFIG, 0)
  for step in range(1, 6):
    log.scalars(step, 'train', {})
  log.close(False)
  assert service.seen[1:] == [(4, 'train'), (5, 'train'), ('closed', False)]
  assert [record.getMessage() for record in caplog.records] == [
    'fake has failed, and some of the log is left out (ConnectionError: at 1)'
  ]


def test_a_service_that_hangs_stalls_nothing(service, tmp_path, caplog, monkeypatch):
  monkeypatch.setattr(background, 'MAX_WAITING', 5)
  monkeypatch.setattr(background, 'CLOSE_SECONDS', 0.1)
  answer = threading.Event()
  service.scalars = lambda self, *_: answer.wait()
  log, began = Background('fake', service, tmp_path, CONFIG, 0), time.monotonic()
  for step in range(100):
    log.scalars(step, 'train', {})
  log.close(False)
  assert time.monotonic() - began < 2
  assert [record.getMessage() for record in caplog.records] == [
    'fake falls behind, so some of the log is left out',
    'fake does not answer, so the end of the log is left out',
  ]
  answer.set()
