"""Whether a long run keeps to its memory: a tiny generator with every loss, evaluated and saved often.

  python -m benchmarks.soak --minutes=30 --output=soak.json

`growth` is the mean resident memory of the last tenth of the time over that of the first tenth after the warm-up, a
fifth of the time, minus one.
"""

import json
import signal
import time
from pathlib import Path

import numpy as np
import psutil
from absl import flags
from tqdm import tqdm

from benchmarks import commands
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole

EVERY = 2.0  # seconds between two looks

flags.DEFINE_float('minutes', 30, 'How long.', lower_bound=1)
flags.DEFINE_string('data_dir', 'runs/data', 'Where TFDS keeps its datasets.')
flags.DEFINE_string('output', None, 'A JSON file for the figures.')


def main() -> None:
  given = flags.FLAGS
  with commands.tiny_runs(given.data_dir) as runs:
    process = runs.start('soaked', steps=10_000_000, eval_every=50, checkpoint_every=50, keep=2)
    memory = _watch(process, given.minutes * 60)
    if process.poll() is not None:
      runs.fail('train.py ended by itself')
    (status,) = commands.end([process], signal.SIGTERM)
    lines = (runs.directory / 'soaked' / 'metrics.jsonl').read_text().splitlines()
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
  if given.output:
    write_whole(Path(given.output), json.dumps(figures | {'megabytes': memory}, indent=2) + '\n')


def _watch(process, seconds: float) -> list[float]:
  """The resident memory of a process and its children, in MB, every two seconds."""
  memory, parent = [], psutil.Process(process.pid)
  for _ in tqdm(range(int(seconds / EVERY)), 'soaking', disable=None):
    time.sleep(EVERY)
    if process.poll() is not None:
      break
    family = [parent, *parent.children(recursive=True)]
    memory.append(sum(member.memory_info().rss for member in family if member.is_running()) / 1e6)
  return memory


if __name__ == '__main__':
  cli.run(main)
