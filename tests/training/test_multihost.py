"""Processes that train together find each other, or say why not."""

import jax
import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.training import multihost


@pytest.fixture
def joined(monkeypatch):
  """The arguments of each start of jax.distributed."""
  calls = []
  monkeypatch.setattr(jax.distributed, 'initialize', lambda *arguments: calls.append(arguments))
  monkeypatch.setattr(multihost, 'glob', lambda pattern: [])
  monkeypatch.delenv('SLURM_STEP_NUM_TASKS', raising=False)
  return calls


def test_a_process_alone_joins_nobody(joined):
  multihost.join()
  assert joined == []


def test_arguments_name_the_others(joined):
  multihost.join('host0:1234', 2, 1)
  assert joined == [('host0:1234', 2, 1)]


def test_all_three_arguments_or_none(joined):
  with pytest.raises(UserError, match='belong together'):
    multihost.join('host0:1234', 2)


@pytest.mark.parametrize(('tasks', 'calls'), [('1', []), ('4', [()])])
def test_slurm_starts_them_by_itself(joined, monkeypatch, tasks, calls):
  monkeypatch.setenv('SLURM_STEP_NUM_TASKS', tasks)
  multihost.join()
  assert joined == calls


def test_tpu_hosts_start_by_themselves(joined, monkeypatch):
  monkeypatch.setattr(multihost, 'glob', lambda pattern: ['/dev/accel0'] if 'accel' in pattern else [])
  monkeypatch.setattr(multihost, 'find_spec', lambda name: name)
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
  multihost.join()
  assert joined == []
  monkeypatch.setenv('JAX_PLATFORMS', 'tpu,cpu')
  multihost.join()
  assert joined == [()]


def test_processes_that_do_not_answer_are_one_line(joined, monkeypatch):
  def initialize(*_):
    raise RuntimeError('DEADLINE_EXCEEDED: nobody there\nand more')

  monkeypatch.setattr(jax.distributed, 'initialize', initialize)
  with pytest.raises(UserError, match=r'do not find each other: DEADLINE_EXCEEDED: nobody there$'):
    multihost.join('host0:1234', 2, 1)
