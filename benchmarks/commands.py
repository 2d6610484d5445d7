"""The project's commands as benchmarks call them, and a run of train.py small enough to be started dozens of times."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lpips_jax import cli

ROOT = Path(__file__).parents[1]
COMMON = {
  'data.name': 'talking_faces/tiny',
  'data.batch_size': 4,
  'data.eval_batches': 1,
  'model.image_size': 32,
  'model.audio_widths': (4, 4, 8, 8, 8),
  'model.audio_residuals': (0, 0, 0, 0),
  'log_every': 5,
}
EXPERT = COMMON | {
  'model.face_widths': (4, 4, 4, 8, 8, 8, 8),
  'model.face_residuals': (0, 0, 0, 0, 0),
  'data.windows': 3,
  'diagnosis_clips': 2,
}
GENERATOR = COMMON | {  # with every loss
  'model.widths': (4, 8),
  'discriminator.image_size': 32,
  'discriminator.widths': (2, 4, 4, 4, 4, 4, 4),
  'losses.adversarial': 0.01,
}


def command(*arguments: str) -> None:
  """Runs one of the project's commands to its end; raises UserError, with what it said, if that is not a good one."""
  done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
  if done.returncode:
    cli.fail(f'{" ".join(arguments)} failed: {done.stderr.strip()}')


def start_training(task: str, workdir: Path, data_dir: str, log: Path, **values: object) -> subprocess.Popen:
  """Starts train.py, in a process group of its own, which writes what it says to `log`.

  Args:
    task: 'sync_expert' or 'generator'.
    workdir: of the run.
    data_dir: where the corpus is, or is drawn.
    log: a file, which is appended to.
    **values: of the config, with `__` for dots.
  """
  values = (EXPERT if task == 'sync_expert' else GENERATOR) | {'data.data_dir': data_dir} | _dotted(values)
  line = [sys.executable, str(ROOT / 'train.py'), f'--config={ROOT / "configs" / "quickstart.py"}:{task}']
  line += [f'--workdir={workdir}', *(f'--config.{name}={value}' for name, value in values.items())]
  programs = Path(tempfile.gettempdir()) / f'lpips_jax_programs_{os.getpid()}'  # compiled once for all starts
  environment = os.environ | {
    'JAX_COMPILATION_CACHE_DIR': str(programs),
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
  }
  with log.open('a') as said:
    return subprocess.Popen(line, stdout=said, stderr=said, env=environment, cwd=ROOT, start_new_session=True)


def train(task: str, workdir: Path, data_dir: str, log: Path, **values: object) -> None:
  """Runs train.py to its end; raises UserError if that is not a good one."""
  if start_training(task, workdir, data_dir, log, **values).wait():
    cli.fail(f'train.py failed: {log} says why')


def _dotted(values: dict[str, object]) -> dict[str, object]:
  return {name.replace('__', '.'): value for name, value in values.items()}
