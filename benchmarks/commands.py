"""The project's commands as benchmarks call them, and runs of train.py small enough to be started dozens of times."""

import contextlib
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import flags

from lpips_jax.core import cli

ROOT = Path(__file__).parents[1]
FRESH = 1000  # seed of speakers to score on; training draws from seed 0
_TINY = {
  'data.name': 'talking_faces/tiny',
  'data.batch_size': 4,
  'data.eval_batches': 1,
  'model.image_size': 32,
  'model.audio_widths': (4, 4, 8, 8, 8),
  'model.audio_residuals': (0, 0, 0, 0),
  'log_every': 5,
}
TINY = {  # what shrinks the quickstart config of a task until its steps are a matter of milliseconds
  'sync_expert': _TINY
  | {
    'model.face_widths': (4, 4, 4, 8, 8, 8, 8),
    'model.face_residuals': (0, 0, 0, 0, 0),
    'data.windows': 3,
    'diagnosis_clips': 2,
  },
  'generator': _TINY
  | {
    'model.widths': (4, 8),
    'discriminator.image_size': 32,
    'discriminator.widths': (2, 4, 4, 4, 4, 4, 4),
  },
}


def register_choices(flag: str, choices: Sequence[str], empty: bool = False) -> None:
  """Has absl refuse a list with anything else in it, or with nothing."""

  def suits(given: Sequence[str]) -> bool:
    return set(given) <= set(choices) and bool(given or empty)

  flags.register_validator(flag, suits, f'choose of {", ".join(choices)}')


def register_numbers(flag: str, multiple: int = 1, empty: bool = False) -> None:
  """Has absl refuse a list with anything else in it than positive multiples, or with nothing."""

  def suits(given: Sequence[str]) -> bool:
    return all(x.isdecimal() and int(x) and int(x) % multiple == 0 for x in given) and bool(given or empty)

  flags.register_validator(flag, suits, 'give positive numbers' + (f', multiples of {multiple}' * (multiple > 1)))


def require_directory_of(output: str | None) -> None:
  """Raises UserError if a file could not be written, now and not after hours."""
  if output and not Path(output).absolute().parent.is_dir():
    cli.fail(f'{output}: there is no such directory')


def command(*arguments: str) -> None:
  """Runs one of the project's commands to its end; raises UserError, with what it said, if that is not a good one."""
  done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
  if done.returncode:
    cli.fail(f'{" ".join(arguments)} failed: {done.stderr.strip()}')


def train_and_score(
  config: str, workdir: Path, data_dir: str, clips: int, values: Mapping[str, object]
) -> dict[str, float | None]:
  """Trains with a config at the quickstart's size, or goes on with it, and scores what came out on speakers never seen.

  Args:
    config: name of a file of configs/, with what follows its colon.
    workdir: gets the run, and `evaluation/`.
    data_dir: where the corpus is, or is drawn.
    clips: how many to score.
    values: of the config, by dotted names.

  Returns:
    What evaluate.py found.

  Raises:
    UserError: one of the two failed; with what it said.
  """
  values = {'data.data_dir': data_dir} | dict(values)
  overrides = [f'--config.{name}={value}' for name, value in values.items()]
  command('train.py', f'--config={ROOT / "configs" / config}', f'--workdir={workdir}', *overrides)
  command(
    'evaluate.py',
    f'--checkpoint={workdir}',
    '--dataset=talking_faces/quickstart',
    f'--seed={FRESH}',
    f'--max_clips={clips}',
    f'--data_dir={data_dir}',
    f'--output={workdir / "evaluation"}',
  )
  return json.loads((workdir / 'evaluation' / 'metrics.json').read_text())


@dataclass(frozen=True)
class TinyRuns:
  """Runs of train.py that share a directory, its log and a trained expert.

  Attributes:
    directory: has a folder for each, by its name.
    data_dir: where the corpus is, or is drawn.
  """

  directory: Path
  data_dir: str

  @property
  def log(self) -> Path:
    return self.directory / 'log.txt'

  def start(self, name: str, task: str = 'generator', place: Sequence[str] = (), **values: object) -> subprocess.Popen:
    """Starts a run, or goes on with it, in a process group of its own.

    Args:
      name: of its folder.
      task: 'generator', with every loss, or 'sync_expert'.
      place: flags that say which of several processes this is.
      **values: of the config, with `__` for dots.
    """
    given = {key.replace('__', '.'): value for key, value in values.items()}
    if task == 'generator':
      given |= {'sync_expert': self.directory / 'expert' / 'checkpoint', 'losses.adversarial': 0.01}
    values = TINY[task] | {'data.data_dir': self.data_dir} | given
    line = [sys.executable, str(ROOT / 'train.py'), f'--config={ROOT / "configs" / "quickstart.py"}:{task}']
    line += [f'--workdir={self.directory / name}', *place]
    line += [f'--config.{key}={value}' for key, value in values.items()]
    environment = os.environ | {  # compiled once for all starts
      'JAX_COMPILATION_CACHE_DIR': str(self.directory / 'programs'),
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    }
    with self.log.open('a') as said:
      return subprocess.Popen(line, stdout=said, stderr=said, env=environment, cwd=ROOT, start_new_session=True)

  def train(self, name: str, task: str = 'generator', **values: object) -> None:
    """A run to its end; raises UserError, with the end of the log, if that is not a good one."""
    if self.start(name, task, **values).wait():
      self.fail(f'train.py failed in {name}')

  def fail(self, message: str) -> None:
    """Raises UserError, with the end of the log."""
    cli.fail(f'{message}:\n{self.log.read_text()[-3000:]}')


@contextlib.contextmanager
def tiny_runs(data_dir: str) -> Iterator[TinyRuns]:
  """Yields runs that have their expert; all of them are gone afterwards."""
  with tempfile.TemporaryDirectory() as directory:
    runs = TinyRuns(Path(directory), str(Path(data_dir).absolute()))
    runs.train('expert', 'sync_expert', steps=40)
    yield runs


def free_port() -> int:
  """Returns a port of this machine that nobody uses, for processes that train as one."""
  with socket.socket() as free:
    free.bind(('localhost', 0))
    return free.getsockname()[1]


def waited(process: Any, longest: float = math.inf) -> tuple[int | None, float, float]:
  """Waits for a process, a `subprocess.Popen` or what is called like one, and kills it after `longest` seconds.

  Returns:
    Its exit status, None if it was killed; seconds; and the most memory that it had resident, in MiB, as far as was
    seen every twentieth of a second. (What Linux tells of a process that has ended counts what its parent had when it
    was started.)
  """
  begun, peak = time.monotonic(), 0.0
  while process.poll() is None and time.monotonic() - begun < longest:
    peak = max(peak, _most_resident(process.pid))
    time.sleep(0.05)
  status = process.returncode
  if status is None:
    process.kill()
    process.wait()
  return status, time.monotonic() - begun, peak


def _most_resident(pid: int) -> float:
  """In MiB, so far; 0 where the process has just ended."""
  with contextlib.suppress(FileNotFoundError, ProcessLookupError):
    found = re.search(r'VmHWM:\s+(\d+) kB', Path(f'/proc/{pid}/status').read_text())
    return int(found[1]) / 1024 if found else 0.0
  return 0.0


def end(processes: Sequence[subprocess.Popen], sent: signal.Signals) -> list[int]:
  """Sends a signal to these processes and all that they have started; returns their exit statuses."""
  for process in processes:
    os.killpg(process.pid, sent)
  return [process.wait() for process in processes]
