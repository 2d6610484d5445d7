"""Memory of a long training run: a tiny generator with every loss, evaluated and saved often.

  python -m benchmarks.robustness.soak --minutes=30 --output=soak.json

The first fifth of the time is warm-up. Of the rest, `growth` is the mean resident memory of the last tenth over that of
the first tenth, minus one.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from absl import flags
from tqdm import tqdm

from benchmarks import commands
from benchmarks.commands import ROOT
from benchmarks.tiny import TINY_OVERRIDES
from lpips_jax.core import cli

SAMPLE_SECONDS = 2.0
EXPERT_STEPS = 40
NO_END = 10_000_000  # steps


def define_flags() -> None:
  flags.DEFINE_float('minutes', 30, 'Minutes of training.', lower_bound=1)
  flags.DEFINE_string('data_dir', 'runs/data', 'Directory of the TFDS datasets.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')


def main() -> None:
  given = flags.FLAGS
  data_dir = Path(given.data_dir).absolute()
  with tempfile.TemporaryDirectory() as temporary:
    directory = Path(temporary)
    commands.run_command(*_training(directory, data_dir, 'sync_expert', steps=EXPERT_STEPS))
    process, log = _start_generator(directory, data_dir)
    memory = _sample_memory(process, given.minutes * 60)
    if process.poll() is not None:
      cli.fail(f'train.py ended by itself:\n{log.read_text()[-3000:]}')
    os.killpg(process.pid, signal.SIGTERM)
    status = process.wait()
    lines = (directory / 'generator' / 'metrics.jsonl').read_text().splitlines()
  warm = memory[len(memory) // 5 :]
  tenth = max(1, len(warm) // 10)
  figures = {
    'minutes': given.minutes,
    'steps': max(json.loads(line)['step'] for line in lines),
    'evaluations': sum('"eval"' in line for line in lines),
    'megabytes_after_warm_up': float(np.mean(warm[:tenth])),
    'megabytes_at_the_end': float(np.mean(warm[-tenth:])),
    'growth': float(np.mean(warm[-tenth:]) / np.mean(warm[:tenth]) - 1),
    'status_on_sigterm': status,
  }
  print(json.dumps(figures, indent=2))
  commands.write_figures(given.output, figures | {'megabytes': memory})


def _training(directory: Path, data_dir: Path, task: str, **overrides: object) -> list[str]:
  """The command line of a tiny run, after `python`; its workdir is named after the task."""
  values = TINY_OVERRIDES[task] | {'data.data_dir': str(data_dir)} | overrides
  line = [str(ROOT / 'train.py'), f'--config={ROOT / "configs" / "quickstart.py"}:{task}']
  line.append(f'--workdir={directory / task}')
  return line + [f'--config.{name}={value}' for name, value in values.items()]


def _start_generator(directory: Path, data_dir: Path) -> tuple[subprocess.Popen[bytes], Path]:
  """Starts training with every loss, in a process group of its own; returns the process and its log."""
  losses = {'sync_expert': directory / 'sync_expert' / 'checkpoint', 'losses.adversarial': 0.01}
  schedule = {'steps': NO_END, 'eval_every': 50, 'checkpoint_every': 50, 'keep': 2}
  line = [sys.executable, *_training(directory, data_dir, 'generator', **losses, **schedule)]
  log = directory / 'log.txt'
  environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': str(directory / 'programs')}  # every soak compiles
  with log.open('a') as file:
    return subprocess.Popen(line, stdout=file, stderr=file, env=environment, cwd=ROOT, start_new_session=True), log


def _sample_memory(process: subprocess.Popen[bytes], seconds: float) -> list[float]:
  """The resident memory of a process and its descendants, in MB, every `SAMPLE_SECONDS` until it ends."""
  memory, parent = [], psutil.Process(process.pid)
  for _ in tqdm(range(int(seconds / SAMPLE_SECONDS)), 'soaking', disable=None):
    time.sleep(SAMPLE_SECONDS)
    if process.poll() is not None:
      break
    family = [parent, *parent.children(recursive=True)]
    memory.append(sum(member.memory_info().rss for member in family if member.is_running()) / 1e6)
  return memory


if __name__ == '__main__':
  define_flags()
  cli.run(main)
