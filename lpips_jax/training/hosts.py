"""Several processes that train as one: started by themselves on a TPU pod or by SLURM, else by flags.

python train.py … --coordinator=host0:1234 --processes=2 --process=0     # and so on, one command a process
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from glob import glob
from importlib.util import find_spec

import jax
from jax.experimental import multihost_utils

from lpips_jax.cli import UserError


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
  """Makes this process one of several, if there are several; to be called before anything else of JAX.

  Without arguments JAX itself finds the others under SLURM, where a step has several tasks, and on TPU hosts.

  Args:
    coordinator: host:port of the first process; any free port of it.
    processes: how many there are.
    process: the index of this one, from 0.

  Raises:
    UserError: only some of the three are given, or the others do not answer.
  """
  given = [coordinator, processes, process]
  try:
    if None not in given:
      if ':' not in coordinator:
        raise UserError(f'--coordinator={coordinator} names no port: give HOST:PORT')
      jax.distributed.initialize(coordinator, processes, process)
    elif given != [None] * 3:
      raise UserError('--coordinator, --processes and --process belong together: give all three')
    elif _slurm_tasks() > 1 or _on_tpu_host():
      jax.distributed.initialize()
  except (RuntimeError, ValueError) as error:
    problem = str(error).strip().partition('\n')[0]
    raise UserError(f'the processes do not find each other: {problem}') from error


@contextlib.contextmanager
def first_process_first() -> Iterator[None]:
  """What is within is done by the first process, then by the others: they find what it has made."""
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
  if jax.process_count() > 1:  # JAX's own handler, which lets them agree on a step
    yield multihost_utils.reached_preemption_sync_point
    return
  came = []
  before = signal.signal(signal.SIGTERM, lambda *_: came.append(True))
  try:
    yield lambda step: bool(came)
  finally:
    signal.signal(signal.SIGTERM, before)


def _slurm_tasks() -> int:
  """How many tasks this step of a SLURM job has; 1 in a shell of an allocation, where none was started by srun."""
  return int(os.environ.get('SLURM_STEP_NUM_TASKS', '1'))


def _on_tpu_host() -> bool:
  """Whether this is a host of a TPU slice, and JAX is to use it."""
  chips = glob('/dev/accel*') + glob('/dev/vfio/[0-9]*')
  platforms = os.environ.get('JAX_PLATFORMS', 'tpu')
  return bool(chips) and find_spec('libtpu') is not None and 'tpu' in platforms
