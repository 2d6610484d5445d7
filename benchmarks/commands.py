"""Helpers that all benchmarks share: their flags, their output files, and the project's commands as subprocesses."""

import contextlib
import json
import math
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from absl import flags

from lpips_jax.core import cli
from lpips_jax.core.files import write_whole

ROOT = Path(__file__).parents[1]
HELD_OUT_SEED = 1000  # of the speakers to score on; training draws its speakers from seed 0
POLL_SECONDS = 0.05

# ---- flags and output files


def register_choices(flag: str, choices: Sequence[str], empty: bool = False) -> None:
  """Makes absl refuse a list flag with any other entry, or with none unless `empty`."""

  def suits(given: Sequence[str]) -> bool:
    return set(given) <= set(choices) and bool(given or empty)

  flags.register_validator(flag, suits, f'choose of {", ".join(choices)}')


def register_numbers(flag: str, multiple: int = 1, empty: bool = False) -> None:
  """Makes absl refuse a list flag with anything but positive multiples, or with nothing unless `empty`."""

  def suits(given: Sequence[str]) -> bool:
    return all(x.isdecimal() and int(x) and int(x) % multiple == 0 for x in given) and bool(given or empty)

  flags.register_validator(flag, suits, 'give positive numbers' + (f', multiples of {multiple}' * (multiple > 1)))


def require_directory_of(output: str | None) -> None:
  """Raises UserError if a file's directory does not exist: at the start, rather than after hours of measuring."""
  if output and not Path(output).absolute().parent.is_dir():
    cli.fail(f'{output}: there is no such directory')


def write_figures(output: str | None, figures: object) -> None:
  """Writes the figures as JSON to the file that the flag names, if any."""
  if output:
    write_whole(Path(output), json.dumps(figures, indent=2) + '\n')


# ---- the project's commands


def run_command(*arguments: str) -> None:
  """Runs one of the project's commands to its end.

  Args:
    *arguments: what follows `python`; a file is relative to the repository's root.

  Raises:
    UserError: it failed; the message has its stderr.
  """
  done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
  if done.returncode:
    cli.fail(f'{" ".join(arguments)} failed: {done.stderr.strip()}')


def train_and_score(
  config: str, workdir: Path, data_dir: str, clips: int, overrides: Mapping[str, object]
) -> dict[str, float | None]:
  """Trains a config at the quickstart's size, or resumes its run, and scores the result on held-out speakers.

  Args:
    config: name of a file in configs/, with what follows its colon.
    workdir: directory of the run and of its `evaluation/`.
    data_dir: directory of the TFDS corpus, which is generated there if it is missing.
    clips: number of clips to score.
    overrides: config values by dotted key.

  Returns:
    The metrics of evaluate.py, by name; None for those that do not apply.

  Raises:
    UserError: one of the two commands failed; the message has its stderr.
  """
  train(config, workdir, data_dir, overrides)
  return score(workdir, data_dir, clips)


def train(config: str, workdir: Path, data_dir: str | Path, overrides: Mapping[str, object]) -> None:
  """Trains a config, or resumes its run; arguments and errors as for `train_and_score`."""
  values = {'data.data_dir': data_dir} | dict(overrides)
  of_config = [f'--config.{name}={value}' for name, value in values.items()]
  run_command('train.py', f'--config={ROOT / "configs" / config}', f'--workdir={workdir}', *of_config)


def score(workdir: Path, data_dir: str | Path, clips: int, *judges: str) -> dict[str, float | None]:
  """Scores a run on held-out speakers; `judges` are further flags of evaluate.py. All else as for `train_and_score`."""
  run_command(
    'evaluate.py',
    f'--checkpoint={workdir}',
    '--dataset=talking_faces/quickstart',
    f'--seed={HELD_OUT_SEED}',
    f'--max_clips={clips}',
    f'--data_dir={data_dir}',
    *judges,
    f'--output={workdir / "evaluation"}',
  )
  return json.loads((workdir / 'evaluation' / 'metrics.json').read_text())


def mean_and_deviation(values: Sequence[float | None]) -> str:
  """Formats the mean and the standard deviation of some runs; an empty cell if one of them has no such metric."""
  known = [value for value in values if value is not None]
  if not known or len(known) < len(values):
    return ''
  return f'{np.mean(known):.3f}' + (f' ± {np.std(known, ddof=1):.3f}' if len(known) > 1 else '')


def free_port() -> int:
  """Returns an unused port of this machine, for processes that train as one."""
  with socket.socket() as free:
    free.bind(('localhost', 0))
    return free.getsockname()[1]


# ---- watching a process


class Process(Protocol):
  """The part of `subprocess.Popen` that `wait_for` needs."""

  @property
  def pid(self) -> int | None: ...

  @property
  def returncode(self) -> int | None: ...

  def poll(self) -> int | None: ...

  def kill(self) -> None: ...

  def wait(self) -> int | None: ...


def wait_for(process: Process, max_seconds: float = math.inf) -> tuple[int | None, float, float]:
  """Waits for a process to end, and kills it after `max_seconds`.

  Returns:
    Its exit status, None if it was killed; its seconds; and its peak resident memory in MiB, sampled every twentieth of
    a second (the peak that Linux reports after the end includes what the parent had when it started the process).
  """
  begun, peak = time.monotonic(), 0.0
  while process.poll() is None and time.monotonic() - begun < max_seconds:
    peak = max(peak, _peak_resident_mib(process.pid))
    time.sleep(POLL_SECONDS)
  status = process.returncode
  if status is None:
    process.kill()
    process.wait()
  return status, time.monotonic() - begun, peak


def _peak_resident_mib(pid: int | None) -> float:
  """The peak so far; 0 if the process has just ended."""
  with contextlib.suppress(FileNotFoundError, ProcessLookupError):
    found = re.search(r'VmHWM:\s+(\d+) kB', Path(f'/proc/{pid}/status').read_text())
    return int(found[1]) / 1024 if found else 0.0
  return 0.0
