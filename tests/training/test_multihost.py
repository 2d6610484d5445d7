"""Processes that train together find each other, or say why not."""

import jax
import pytest

from lpips_jax.core.endings import Ending
from lpips_jax.core.errors import UserError
from lpips_jax.training import heartbeat, multihost
from lpips_jax.training.link import Unreachable


class Link:
  """A link to processes that are not there."""

  service = 'service'

  def __init__(self, *arguments):
    self.arguments = arguments
    self.gone = {}

  def wait_for(self, others, seconds):
    pass


class Store(dict):
  """The key-value store of the first process."""

  def key_value_set(self, key, value, allow_overwrite=False):
    self[key] = value

  def key_value_dir_get(self, prefix):
    return [(key, value) for key, value in self.items() if key.startswith(prefix)]


@pytest.fixture
def joined(monkeypatch):
  """The arguments of each start of jax.distributed."""
  calls = []
  monkeypatch.setattr(jax.distributed, 'initialize', lambda *arguments, **_: calls.append(arguments))
  for name, substitute in {
    'Link': Link,
    'Door': Link,
    '_watch': lambda own: None,
    '_beat': lambda own: None,
    '_joined': [],
    'glob': lambda pattern: [],
  }.items():
    monkeypatch.setattr(multihost, name, substitute)
  monkeypatch.setattr(multihost.atexit, 'register', lambda *_: None)
  monkeypatch.delenv('SLURM_STEP_NUM_TASKS', raising=False)
  return calls


def member(process: int = 0, processes: int = 2) -> multihost._Member:
  return multihost._Member(Link(), process, processes, Store())


def test_a_process_alone_joins_nobody(joined):
  multihost.join()
  assert joined == []


def test_arguments_name_the_others(joined):
  multihost.join('host0:1234', 2, 1)
  assert joined == [('service', 2, 1)]
  host, port, process, _ = multihost._joined[0].link.arguments
  assert (host, port, process) == ('host0', 1234, 1)


def test_all_three_arguments_or_none(joined):
  with pytest.raises(UserError, match='belong together'):
    multihost.join('host0:1234', 2)


@pytest.mark.parametrize('coordinator', ['host0', 'host0:', ':1234', 'host0:http', 'host0:70000'])
def test_the_coordinator_names_host_and_port(joined, coordinator):
  with pytest.raises(UserError, match='names no port'):
    multihost.join(coordinator, 2, 1)


@pytest.mark.parametrize('process', [-1, 2])
def test_the_process_is_one_of_them(joined, process):
  with pytest.raises(UserError, match=f'process={process} is not one of 2'):
    multihost.join('host0:1234', 2, process)


def test_one_process_of_one_is_alone(joined):
  multihost.join('host0:1234', 1, 0)
  assert joined == []


@pytest.mark.parametrize(('tasks', 'calls'), [('1', []), ('4', [('service', 4, 2)])])
def test_slurm_starts_them_by_itself(joined, monkeypatch, tasks, calls):
  slurm = {'JOB_ID': '7', 'STEP_NODELIST': 'node[3-4]', 'NTASKS': tasks, 'PROCID': '2', 'LOCALID': '0'}
  for name, value in {**slurm, 'STEP_NUM_TASKS': tasks}.items():
    monkeypatch.setenv(f'SLURM_{name}', value)
  multihost.join()
  assert joined == calls
  assert [own.link.arguments[0] for own in multihost._joined] == ['node3'] * len(calls)


@pytest.mark.parametrize('platforms', ['tpu,cpu', ''])
def test_tpu_hosts_start_by_themselves(joined, monkeypatch, platforms):
  monkeypatch.setattr(multihost, 'glob', lambda pattern: ['/dev/accel0'] if 'accel' in pattern else [])
  monkeypatch.setattr(multihost, 'find_spec', lambda name: name)
  monkeypatch.setattr(multihost, '_ask_jax', lambda seconds: ('host0:8476', 4, 3))
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
  multihost.join()
  assert joined == []
  monkeypatch.setenv('JAX_PLATFORMS', platforms)
  multihost.join()
  assert joined == [('service', 4, 3)]


def test_a_tpu_host_of_which_jax_knows_no_others_is_alone(joined, monkeypatch, caplog):
  monkeypatch.setattr(multihost, '_found_by_jax', lambda: True)
  multihost.join()
  assert joined == [] and 'training on this one alone' in caplog.text


def test_processes_that_do_not_answer_are_one_line(joined, monkeypatch):
  def initialize(*_, **__):
    raise RuntimeError('DEADLINE_EXCEEDED: nobody there\nand more')

  monkeypatch.setattr(jax.distributed, 'initialize', initialize)
  with pytest.raises(Unreachable, match=r'do not find each other: RuntimeError: DEADLINE_EXCEEDED: nobody there$'):
    multihost.join('host0:1234', 2, 1)


def test_processes_that_do_not_answer_may_do_so_later(monkeypatch, capsys):
  def ended(status):
    raise SystemExit(status)

  monkeypatch.setattr(multihost, 'exit_at_once', ended)
  monkeypatch.setattr(multihost, '_given_flags', lambda: ('host0:1234', 2, 1))
  with pytest.raises(SystemExit, match='75'):
    try:
      raise Unreachable('nobody')
    except Unreachable:
      multihost.fail_together(Ending('nobody', 2))
  assert capsys.readouterr().err.endswith(': nobody\n')


def test_while_all_is_well_nobody_ends():
  assert multihost._find_culprit(member()) is None


def test_who_has_gone_is_named():
  own = member()
  own.link.gone[1] = 'host1'
  culprit = multihost._find_culprit(own)
  assert culprit.ending == Ending(f'ended, as process 1 on host1 has ended without a word: {multihost.GOES_ON}', 75)


def test_who_reports_before_it_goes_gives_the_reason():
  own, other = member(), member(1)
  other.client = own.client
  multihost._leave_report(other, multihost._Culprit(2, 'another process failed: process 1 says why'))
  own.link.gone[1] = 'host1'
  assert multihost._find_culprit(own).ending == Ending('ended, as another process failed: process 1 says why', 2)


def test_who_is_silent_is_named(monkeypatch):
  now = [0.0]
  own = member()
  own.watch = heartbeat.Watch([1], lambda: now[0])
  own.watch.hear(1, '5 host1')
  for now[0] in range(int(heartbeat.SILENT_SECONDS) + 1):
    assert multihost._find_culprit(own) is None
  now[0] += 1
  assert multihost._find_culprit(own).why.startswith('process 1 on host1 has not answered for 30 s: ')


def test_a_process_that_was_stopped_for_long_ends():
  now = [0.0]
  own = member(1)
  own.watch = heartbeat.Watch([0], lambda: now[0])
  now[0] = 100.0
  assert multihost._find_culprit(own).why.startswith('process 1 stood still for 100 s: ')


def test_an_uncaught_error_ends_the_others(monkeypatch):
  own = member(1)
  monkeypatch.setattr(multihost, '_joined', [own])
  monkeypatch.setattr(multihost, 'exit_at_once', lambda status: None)
  monkeypatch.setattr(multihost.sys, 'last_value', ValueError(), raising=False)
  monkeypatch.setattr(multihost, '_parted', multihost.threading.Event())
  own.client.key_value_set(f'{multihost.PARTED}0', '')
  multihost._part(own)
  assert own.client[f'{multihost.ENDED}1'] == '1 another process failed: process 1 says why'
