"""Several processes that train as one: on a TPU pod and under SLURM they find each other, elsewhere by flags.

  python train.py … --coordinator=host0:1234 --processes=2 --process=0     # and so on, one command per process

Each waits for the others in every step, so when one fails or disappears they all end. JAX is imported where it is used:
commands check their flags before they wait for it.
"""

import atexit
import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from glob import glob
from importlib.util import find_spec
from typing import Any, NamedTuple, NoReturn

from absl import flags, logging

from lpips_jax.core.endings import FAILED, TRY_AGAIN, Ending, exit_at_once, report
from lpips_jax.core.errors import UserError, first_line
from lpips_jax.training import heartbeat
from lpips_jax.training.link import Door, Link, Unreachable

FLAGS = 'coordinator', 'processes', 'process'
JOIN_SECONDS = 300  # for which processes wait for each other
PORT_SECONDS = 20  # for which the first process waits for its port, which its old self may be about to leave
LATE_JOIN_SECONDS = 60  # for which a process that fails before it has joined tries to report to the others
LEAVE_SECONDS = 6.0  # within which the others leave the first process, through which they communicate
REPORT_SECONDS = 2.0  # for which a process tries to report to the first, which may be silent
POLL_SECONDS = 0.5  # between two looks at the others
CONSEQUENCE_SECONDS = 5.0  # within which this process learns that its error came from another one's end
JAX_SECONDS = 3600  # before JAX itself notices a lost process, and ends the others with a dump: long after `heartbeat`
ENDED = 'lpips_jax/ended/'  # prefix of the keys, one per ended process, under which its reason is left with the first
PARTED = 'lpips_jax/parted/'  # prefix of the keys of processes that are through with their work
GOES_ON = 'the same command goes on from the last saved step'


def join(
  coordinator: str | None = None, processes: int | None = None, process: int | None = None, seconds: int = JOIN_SECONDS
) -> None:
  """Makes this process one of several, if there are several; must be called before anything else of JAX.

  Without arguments JAX itself finds the others under SLURM, where a step has several tasks, and on TPU hosts. From then
  on this process ends, with a line that says so, when another one calls `fail_together`, is killed, or is silent for
  `heartbeat.SILENT_SECONDS`, and when it was itself stopped for so long. At its normal end it waits for the others.

  Args:
    coordinator: host:port of the first process, with any port that is free there.
    processes: the number of processes.
    process: the index of this one, from 0.
    seconds: how long to wait for the others.

  Raises:
    UserError: only some of the three are given, they cannot be used, or JAX does not find them.
    Unreachable: the others do not answer.
  """
  if coordinator is None and processes is None and process is None:
    if not _found_by_jax():
      return
    coordinator, processes, process = _ask_jax(seconds)
    if coordinator is None and _slurm_tasks() <= 1:
      logging.warning('JAX knows no other hosts of these TPUs: training on this one alone')
      return
  if coordinator is None or processes is None or process is None:
    raise UserError('coordinator, processes and process belong together: give all three', *FLAGS)
  host, port = _host_and_port(coordinator)
  if not 0 <= process < processes:
    raise UserError(f'process={process} is not one of {processes}: the first is 0', 'process')
  if processes == 1:
    return
  link = Link(host, port, process, seconds) if process else Door(port, min(seconds, PORT_SECONDS))
  own = _Member(link, process, processes)
  threading.Thread(target=_watch, args=[own], daemon=True).start()
  if isinstance(link, Door):
    link.wait_for(set(range(1, processes)), seconds)
  own.client = _meet(own, 2 * seconds)  # JAX would end this process with a dump when that is over
  _joined.append(own)
  threading.Thread(target=_beat, args=[own], daemon=True).start()
  atexit.register(_part, own)  # before JAX's own end, registered earlier


def fail_together(ending: Ending) -> None:
  """Ends this process, which has failed, and the others with it; does nothing in a process that is alone.

  It could not end otherwise: JAX's end waits for the others, and they wait for a step. A process that fails before it
  has joined the others does so now, to report to them. A failure after that of another process is taken for its
  consequence.
  """
  given = _given_flags()
  if not _joined and given == (None, None, None) and not _found_by_jax():
    return
  if isinstance(sys.exception(), Unreachable):
    report(ending)
    exit_at_once(TRY_AGAIN)
  if _joined and ending.line is None:
    time.sleep(CONSEQUENCE_SECONDS)
  _only_once.acquire()
  culprit = next((culprit for own in _joined for culprit in _reports(own).values()), None)
  report(culprit.ending if culprit else ending)
  if not _joined:
    with contextlib.suppress(UserError):
      join(*given, seconds=LATE_JOIN_SECONDS)
  _leave(culprit or _own_failure(ending.status))


@contextlib.contextmanager
def first_process_first() -> Iterator[None]:
  """Runs the body in the first process, then in the others, so that they find its files."""
  import jax
  from jax.experimental import multihost_utils

  if jax.process_index():
    multihost_utils.sync_global_devices('first process')
  yield
  if jax.process_index() == 0:
    multihost_utils.sync_global_devices('first process')


@contextlib.contextmanager
def preemption() -> Iterator[Callable[[int], bool]]:
  """Yields a function that says, at a step, whether any process has received SIGTERM; all get the same answer.

  Schedulers send SIGTERM some seconds before they take the machine away.
  """
  import jax
  from jax.experimental import multihost_utils

  if jax.process_count() > 1:  # JAX's own handler, which lets them agree on a step
    yield multihost_utils.reached_preemption_sync_point
    return
  received = []
  before = signal.signal(signal.SIGTERM, lambda *_: received.append(True))
  try:
    yield lambda step: bool(received)
  finally:
    signal.signal(signal.SIGTERM, before)


@dataclass
class _Member:
  """This process among the others.

  Attributes:
    link: to the first process, or of the first to the others.
    process: its number.
    processes: how many there are.
    client: of the key-value store of the first process; None until they have met.
    watch: over the heartbeats: of all others in the first process, of the first in the others.
    reports: what ended processes have left with the first, when last asked.
  """

  link: Door | Link
  process: int
  processes: int
  client: Any = None
  watch: heartbeat.Watch = field(init=False)
  reports: dict[int, '_Culprit'] = field(default_factory=dict)

  def __post_init__(self) -> None:
    self.watch = heartbeat.Watch([0] if self.process else list(range(1, self.processes)))


class _Culprit(NamedTuple):
  """Why all processes end, and their exit status."""

  status: int
  why: str

  @property
  def ending(self) -> Ending:
    return Ending(f'ended, as {self.why}', self.status)


def _own_failure(status: int) -> _Culprit:
  """The reason that a process which fails leaves for the others."""
  process = _joined[0].process if _joined else 0
  return _Culprit(status, f'another process failed: process {process} says why')


_joined: list[_Member] = []  # one, once the others were found
_only_once = threading.Lock()  # held by the one thread that ends this process and reports why
_parted = threading.Event()  # set once all processes are through with their work, and may go


def _meet(own: _Member, seconds: int) -> Any:
  """Starts JAX's own connection, and returns its client; `jax.process_index` would wait for all devices."""
  import jax
  from jax._src import distributed

  try:
    jax.distributed.initialize(
      own.link.service,
      own.processes,
      own.process,
      initialization_timeout=seconds,
      heartbeat_timeout_seconds=JAX_SECONDS,
      coordinator_bind_address=own.link.service,
    )
  except (RuntimeError, ValueError) as error:
    raise Unreachable(f'the processes do not find each other: {first_line(error)}') from error
  own.watch = heartbeat.Watch(list(own.watch.others))
  return distributed.global_state.client


def _beat(own: _Member) -> None:
  """Lets the others know that this process lives, and asks for theirs. It may hang with the first process."""
  for count in itertools.count():
    with contextlib.suppress(Exception):  # when the first has gone, or JAX is ending: `_watch` knows
      heartbeat.exchange(own.client, own.process, count, own.watch)
      own.reports = _reports(own)
    time.sleep(heartbeat.BEAT_SECONDS)


def _watch(own: _Member) -> None:
  """Ends this process once another has failed or disappeared, or once this one was stopped for too long."""
  while not (culprit := _find_culprit(own)):
    time.sleep(POLL_SECONDS)
    if _parted.is_set():
      return
  _only_once.acquire()
  report(culprit.ending)
  _leave(culprit)


def _find_culprit(own: _Member) -> _Culprit | None:
  """The reason to end; None while all is well."""
  paused = own.watch.look()
  gone = dict(own.link.gone)  # before their reports are read: who reports goes at once
  if gone and not own.process:
    own.reports = _reports(own)
  if own.reports:
    return next(iter(own.reports.values()))
  if gone and not _parted.is_set():
    process, host = min(gone.items())
    return _Culprit(TRY_AGAIN, f'process {process} on {host} has ended without a word: {GOES_ON}')
  if own.client is None:  # the others may still be on their way
    return None
  if paused > heartbeat.SILENT_SECONDS:
    return _Culprit(TRY_AGAIN, f'process {own.process} stood still for {paused:.0f} s: {GOES_ON}')
  for silence in own.watch.silent():
    name = f'process {silence.process} on {silence.host or "an unknown host"}'
    return _Culprit(TRY_AGAIN, f'{name} has not answered for {heartbeat.SILENT_SECONDS:.0f} s: {GOES_ON}')
  return None


def _reports(own: _Member) -> dict[int, _Culprit]:
  """Reads the reasons that ended processes have left with the first; {} if that cannot be asked."""
  reports = {}
  if 0 not in own.link.gone:
    with contextlib.suppress(Exception):
      for key, value in own.client.key_value_dir_get(ENDED):
        status, why = value.split(maxsplit=1)
        reports[int(key.rpartition('/')[2])] = _Culprit(int(status), why)
  return reports


def _leave(culprit: _Culprit) -> NoReturn:
  """Leaves at once, the first process last, as the others learn the reason from it."""
  for own in _joined:
    if 0 not in own.link.gone:
      reporting = threading.Thread(target=_leave_report, args=[own, culprit], daemon=True)
      reporting.start()
      reporting.join(REPORT_SECONDS)
    deadline = time.monotonic() + LEAVE_SECONDS
    while own.process == 0 and time.monotonic() < deadline:
      left = {0, *_reports(own), *own.link.gone, *(silence.process for silence in own.watch.silent())}
      if len(left) == own.processes:
        break
      time.sleep(POLL_SECONDS / 5)
  exit_at_once(culprit.status)


def _leave_report(own: _Member, culprit: _Culprit) -> None:
  with contextlib.suppress(Exception):  # the first may go meanwhile
    own.client.key_value_set(f'{ENDED}{own.process}', f'{culprit.status} {culprit.why}', allow_overwrite=True)


def _part(own: _Member) -> None:
  """Waits at this process's normal end until the others have come to theirs; `_watch` ends it if one never will."""
  if hasattr(sys, 'last_value'):  # an uncaught error, which Python has reported
    _leave(_own_failure(FAILED))
  with contextlib.suppress(Exception):
    own.client.key_value_set(f'{PARTED}{own.process}', '')
    while len(own.client.key_value_dir_get(PARTED)) < own.processes:
      time.sleep(POLL_SECONDS / 5)
  _parted.set()


def _host_and_port(coordinator: str) -> tuple[str, int]:
  host, _, port = coordinator.rpartition(':')
  if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
    raise UserError(f'coordinator={coordinator} names no port: give HOST:PORT', 'coordinator')
  return host.strip('[]'), int(port)


def _ask_jax(seconds: int) -> tuple[str | None, int | None, int | None]:
  """Coordinator, number of processes, and this one's, as `jax.distributed.initialize` finds them."""
  from jax._src.clusters import ClusterEnv

  given = os.environ.get('JAX_COORDINATOR_ADDRESS')
  try:
    found = ClusterEnv.auto_detect_unset_distributed_params(given, None, None, None, None, seconds)
  except (RuntimeError, ValueError, OSError) as error:
    raise Unreachable(f'the processes do not find each other: {first_line(error)}') from error
  return found[0], found[1], found[2]


def _given_flags() -> tuple[str | None, int | None, int | None]:
  """The flags of `join`, read apart from the others: something else in the command line may be wrong."""
  own = flags.FlagValues()
  for name in FLAGS:
    own[name] = flags.FLAGS[name]
  own.set_gnu_getopt(True)
  with contextlib.suppress(flags.Error):
    own(sys.argv, known_only=True)
  coordinator, processes, process = (own[name].value for name in FLAGS)
  return coordinator, processes, process


def _found_by_jax() -> bool:
  """True if JAX finds other processes by itself."""
  return _slurm_tasks() > 1 or _on_tpu_host()


def _slurm_tasks() -> int:
  """The number of tasks of this step of a SLURM job; 1 in a shell of an allocation, where srun has started none."""
  return int(os.environ.get('SLURM_STEP_NUM_TASKS', '1'))


def _on_tpu_host() -> bool:
  """True on a host of a TPU slice which JAX is to use."""
  chips = glob('/dev/accel*') + glob('/dev/vfio/[0-9]*')
  platforms = os.environ.get('JAX_PLATFORMS') or 'tpu'  # set to nothing, JAX chooses, too
  return bool(chips) and find_spec('libtpu') is not None and 'tpu' in platforms
