"""Several processes that train as one: on a TPU pod and under SLURM they find each other, elsewhere by flags.

  python train.py … --coordinator=host0:1234 --processes=2 --process=0     # and so on, one command per process

Each waits for the others in every step, so when one fails they all end. JAX is imported where it is used: commands
check their flags before they wait for it.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from glob import glob
from importlib.util import find_spec
from typing import Any, NamedTuple, NoReturn

from absl import flags

from lpips_jax.core.endings import Ending, exit_at_once, report
from lpips_jax.core.errors import UserError

FLAGS = 'coordinator', 'processes', 'process'
LATE_JOIN_SECONDS = 60  # for which a process that fails before it has joined tries to report to the others
LEAVE_SECONDS = 6.0  # within which the others leave the first process, through which they communicate
POLL_SECONDS = 0.5  # between two looks at whether another process has failed
ENDED = 'lpips_jax/ended/'  # prefix of the keys, one per ended process, under which its reason is left with the first


def join(
  coordinator: str | None = None, processes: int | None = None, process: int | None = None, seconds: int | None = None
) -> None:
  """Makes this process one of several, if there are several; must be called before anything else of JAX.

  Without arguments JAX itself finds the others under SLURM, where a step has several tasks, and on TPU hosts. From then
  on this process ends, with a line that says so, when another one calls `fail_together`.

  Args:
    coordinator: host:port of the first process, with any port that is free there.
    processes: the number of processes.
    process: the index of this one, from 0.
    seconds: how long to wait for the others; five minutes by default.

  Raises:
    UserError: only some of the three are given, or the others do not answer.
  """
  import jax

  options: dict[str, Any] = {'initialization_timeout': seconds} if seconds else {}
  try:
    if coordinator is not None and processes is not None and process is not None:
      if ':' not in coordinator:
        raise UserError(f'coordinator={coordinator} names no port: give HOST:PORT', 'coordinator')
      jax.distributed.initialize(coordinator, processes, process, **options)
    elif (coordinator, processes, process) != (None, None, None):
      raise UserError('coordinator, processes and process belong together: give all three', *FLAGS)
    elif _found_by_jax():
      jax.distributed.initialize(**options)
  except (RuntimeError, ValueError) as error:
    problem = str(error).strip().partition('\n')[0]
    raise UserError(f'the processes do not find each other: {problem}') from error
  membership = _membership()
  if membership and membership.processes > 1:
    _joined.append(membership)
    threading.Thread(target=_watch, daemon=True).start()


def fail_together(ending: Ending) -> None:
  """Ends this process, which has failed, and the others with it; does nothing in a process that is alone.

  It could not end otherwise: JAX's end waits for the others, and they wait for a step. A process that fails before it
  has joined the others does so now, to report to them. A failure after that of another process is taken for its
  consequence.
  """
  given = _given_flags()
  if not _joined and given == (None, None, None) and not _found_by_jax():
    return
  _only_once.acquire()
  culprit = _culprit()
  report(culprit.ending if culprit else ending)
  if not _joined:
    with contextlib.suppress(UserError):
      join(*given, seconds=LATE_JOIN_SECONDS)
  _leave_together(culprit or _Culprit(_joined[0].process if _joined else 0, ending.status))


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


class _Membership(NamedTuple):
  """This process among the others."""

  client: Any  # of the key-value store of the first process
  process: int
  processes: int


class _Culprit(NamedTuple):
  """The process that failed first, and its exit status."""

  process: int
  status: int

  @property
  def ending(self) -> Ending:
    return Ending(f'ended, as another process failed: process {self.process} says why', self.status)


_joined: list[_Membership] = []  # one, once the others were found
_only_once = threading.Lock()  # held by the one thread that ends this process and reports why


def _watch() -> None:
  """Ends this process once another has failed."""
  while not (culprit := _culprit()):
    time.sleep(POLL_SECONDS)
  _only_once.acquire()
  report(culprit.ending)
  _leave_together(culprit)


def _leave_together(culprit: _Culprit) -> NoReturn:
  """Leaves at once, the first process last: once that is gone, JAX ends the others in its own way, with a crash."""
  for own in _joined:
    with contextlib.suppress(Exception):  # if the first is gone, nothing can be reported
      own.client.key_value_set(f'{ENDED}{own.process}', f'{culprit.process} {culprit.status}', allow_overwrite=True)
      deadline = time.monotonic() + LEAVE_SECONDS
      while own.process == 0 and len(_ended()) < own.processes and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 5)
      time.sleep(0 if own.process else POLL_SECONDS)
  exit_at_once(culprit.status)


def _culprit() -> _Culprit | None:
  """The process whose failure ends the others; None while all is well, or when JAX is ending and cannot be asked."""
  try:
    return next(iter(_ended()), None)
  except Exception:
    return None


def _ended() -> list[_Culprit]:
  """The culprit that each ended process has left."""
  left = [value for own in _joined for _, value in own.client.key_value_dir_get(ENDED)]
  return [_Culprit(*map(int, value.split())) for value in left]


def _membership() -> _Membership | None:
  """Reads JAX's private state, as Orbax does: `jax.process_index` would wait for the devices of all processes."""
  from jax._src import distributed

  state = distributed.global_state
  return _Membership(state.client, state.process_id, state.num_processes) if state.client else None


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
  platforms = os.environ.get('JAX_PLATFORMS', 'tpu')
  return bool(chips) and find_spec('libtpu') is not None and 'tpu' in platforms
