"""Trains the runs of a sweep one after the other."""

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lpips_jax.core.endings import TRY_AGAIN
from lpips_jax.training.sweeping.sweeps import Sweep, to_read


def saved_step(workdir: Path) -> int:
  """Returns the last step that a run has saved, 0 if none."""
  checkpoint = workdir / 'checkpoint'
  steps = [int(path.name) for path in checkpoint.iterdir() if path.name.isdecimal()] if checkpoint.is_dir() else []
  return max(steps, default=0)


def run_all(sweep: Sweep, workdir: str, train: Sequence[str]) -> dict[str, int]:
  """Trains all runs that are not finished, and returns the exit status of each that did not get there, by its name.

  Runs that have been begun go on. A run that fails does not keep the others from being trained. `TRY_AGAIN` is the
  status of one that has not failed: the same command goes on.

  Args:
    sweep: the runs.
    workdir: of the sweep.
    train: the command, without arguments.

  Raises:
    UserError: the workdir is a URL that cannot be read.
    KeyboardInterrupt: it came while a run trained, which has then saved its state.
  """
  ended: dict[str, int] = {}
  for number, name in enumerate(sweep.runs, start=1):
    title = f'[{number}/{len(sweep.runs)}] {name}'
    if saved_step(to_read(workdir) / name) >= sweep.load_config(name).steps:
      print(f'{title}: finished', flush=True)
      continue
    print(title, flush=True)
    status = run_one([*train, *sweep.arguments(name, workdir)])
    if status:
      ended[name] = status
      print(f'{title}: {"stopped" if status == TRY_AGAIN else f"failed with status {status}"}', flush=True)
  return ended


def run_one(command: Sequence[str]) -> int:
  """Runs a command and returns its exit status.

  If this process is interrupted, the command gets SIGTERM, on which train.py saves; the next interruption kills it. It
  is no member of the terminal's process group, whose Ctrl-C would end it unsaved.
  """
  process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
  try:
    return process.wait()
  except KeyboardInterrupt:
    process.terminate()
    with contextlib.suppress(OSError):  # of a terminal that is gone, as after SIGHUP
      print('ending: the run saves first', flush=True)
    try:
      process.wait()
    except KeyboardInterrupt:
      process.kill()
      process.wait()
    raise
