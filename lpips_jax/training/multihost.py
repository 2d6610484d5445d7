"""Several processes that train as one: started by themselves on a TPU pod or by SLURM, else by flags.

python train.py … --coordinator=host0:1234 --processes=2 --process=0     # and so on, one command a process

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

from lpips_jax.core import cli
from lpips_jax.core.errors import UserError

FLAGS = 'coordinator', 'processes', 'process'
ANSWERING_A_FAILED_ONE = 60  # seconds that one which fails before it has joined tries to tell the others
LEAVING = 6.0  # seconds within which the others leave the first process, which they speak through
WATCHING = 0.5  # seconds between two looks at whether another process has failed
ENDED = 'lpips_jax/ended/'  # and the process: what those that fail, or end because of it, leave with the first one


def join(
  coordinator: str | None = None, processes: int | None = None, process: int | None = None, seconds: int | None = None
) -> None:
  """Makes this process one of several, if there are several; to be called before anything else of JAX.

  Without arguments JAX itself finds the others under SLURM, where a step has several tasks, and on TPU hosts. From then
  on this process ends, with a line that says so, when another one does `fail_together`.

  Args:
    coordinator: host:port of the first process; any free port of it.
    processes: how many there are.
    process: the index of this one, from 0.
    seconds: how long to wait for the others; five minutes by default.

  Raises:
    UserError: only some of the three are given, or the others do not answer.
  """
  import jax

  given = [coordinator, processes, process]
  options = {'initialization_timeout': seconds} if seconds else {}
  try:
    if None not in given:
      if ':' not in coordinator:
        raise UserError(f'--coordinator={coordinator} names no port: give HOST:PORT')
      jax.distributed.initialize(coordinator, processes, process, **options)
    elif given != [None] * 3:
      raise UserError('--coordinator, --processes and --process belong together: give all three')
    elif _found_by_jax():
      jax.distributed.initialize(**options)
  except (RuntimeError, ValueError) as error:
    problem = str(error).strip().partition('\n')[0]
    raise UserError(f'the processes do not find each other: {problem}') from error
  place = _place()
  if place and place.processes > 1:
    _joined.append(place)
    threading.Thread(target=_watch, daemon=True).start()


def fail_together(ending: cli.Ending) -> None:
  """Ends this process, which has failed, and the others with it; does nothing in a process that is alone.

  It could not end otherwise: JAX's end waits for the others, and they for a step. What has failed before it joined the
  others does so now, to tell them; what goes wrong after another has failed is no more than what follows from that.
  """
  given = _given_flags()
  if not _joined and given == [None] * 3 and not _found_by_jax():
    return
  _only_once.acquire()
  culprit = _culprit()
  cli.report(culprit.ending if culprit else ending)
  if not _joined:
    with contextlib.suppress(UserError):
      join(*given, seconds=ANSWERING_A_FAILED_ONE)
  _leave_together(culprit or _Culprit(_joined[0].process if _joined else 0, ending.status))


@contextlib.contextmanager
def first_process_first() -> Iterator[None]:
  """What is within is done by the first process, then by the others: they find what it has made."""
  import jax
  from jax.experimental import multihost_utils

  if jax.process_index():
    multihost_utils.sync_global_devices('first process')
  yield
  if jax.process_index() == 0:
    multihost_utils.sync_global_devices('first process')


@contextlib.contextmanager
def preemption() -> Iterator[Callable[[int], bool]]:
  """Yields a function that says, given the step, whether SIGTERM has come: to any of the processes, told to all alike.

  Schedulers send it some seconds before they take the machine away.
  """
  import jax
  from jax.experimental import multihost_utils

  if jax.process_count() > 1:  # JAX's own handler, which lets them agree on a step
    yield multihost_utils.reached_preemption_sync_point
    return
  came = []
  before = signal.signal(signal.SIGTERM, lambda *_: came.append(True))
  try:
    yield lambda step: bool(came)
  finally:
    signal.signal(signal.SIGTERM, before)


class _Place(NamedTuple):
  """Where this process is among the others."""

  client: Any  # what speaks to the first one
  process: int
  processes: int


class _Culprit(NamedTuple):
  """The process that failed first, and its exit status."""

  process: int
  status: int

  @property
  def ending(self) -> cli.Ending:
    return cli.Ending(f'ended, as another process failed: process {self.process} says why', self.status)


_joined: list[_Place] = []  # one, once the others were found
_only_once = threading.Lock()  # one thread ends this process, and says why


def _watch() -> None:
  """Ends this process once another has failed."""
  while not (culprit := _culprit()):
    time.sleep(WATCHING)
  _only_once.acquire()
  cli.report(culprit.ending)
  _leave_together(culprit)


def _leave_together(culprit: _Culprit) -> NoReturn:
  """Leaves at once, the first process last: JAX ends the others in its own way, with a crash, once that is gone."""
  for place in _joined:
    with contextlib.suppress(Exception):  # if the first is gone, nothing can be told
      place.client.key_value_set(f'{ENDED}{place.process}', f'{culprit.process} {culprit.status}', allow_overwrite=True)
      deadline = time.monotonic() + LEAVING
      while place.process == 0 and len(_ended()) < place.processes and time.monotonic() < deadline:
        time.sleep(WATCHING / 5)
      time.sleep(0 if place.process else WATCHING)
  cli.exit_at_once(culprit.status)


def _culprit() -> _Culprit | None:
  """Whose failure the others follow; None as long as all is well, or nothing can be known as JAX is ending."""
  try:
    return next(iter(_ended()), None)
  except Exception:
    return None


def _ended() -> list[_Culprit]:
  """What each process that has ended has told of why."""
  told = [value for place in _joined for _, value in place.client.key_value_dir_get(ENDED)]
  return [_Culprit(*map(int, value.split())) for value in told]


def _place() -> _Place | None:
  """JAX shows this to nobody, but Orbax uses it, too; `jax.process_index` would wait for the devices of all."""
  from jax._src import distributed

  state = distributed.global_state
  return _Place(state.client, state.process_id, state.num_processes) if state.client else None


def _given_flags() -> list[Any]:
  """The flags of `join`, read for themselves: something else in the command line may be wrong."""
  own = flags.FlagValues()
  for name in FLAGS:
    own[name] = flags.FLAGS[name]
  own.set_gnu_getopt(True)
  with contextlib.suppress(flags.Error):
    own(sys.argv, known_only=True)
  return [own[name].value for name in FLAGS]


def _found_by_jax() -> bool:
  """Whether JAX finds other processes by itself."""
  return _slurm_tasks() > 1 or _on_tpu_host()


def _slurm_tasks() -> int:
  """How many tasks this step of a SLURM job has; 1 in a shell of an allocation, where none was started by srun."""
  return int(os.environ.get('SLURM_STEP_NUM_TASKS', '1'))


def _on_tpu_host() -> bool:
  """Whether this is a host of a TPU slice, and JAX is to use it."""
  chips = glob('/dev/accel*') + glob('/dev/vfio/[0-9]*')
  platforms = os.environ.get('JAX_PLATFORMS', 'tpu')
  return bool(chips) and find_spec('libtpu') is not None and 'tpu' in platforms
