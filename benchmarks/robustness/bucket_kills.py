"""Training runs in a bucket, killed at random moments and started again, beside one that nobody touched.

  python -m benchmarks.robustness.bucket_kills --output=kills.json

For each store and task: a tiny run on this machine's disk, and one whose workdir, data and frozen expert are in a
bucket on loopback, which gets SIGKILL again and again and then ends by itself. Compared are parameters, statistics,
optimiser and moving average, bit for bit, and the steps that were logged. After each kill, every step in the bucket
that counts is loaded.
"""

import json
import os
import random
import re
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import buckets, commands
from benchmarks.robustness.forked import Command
from benchmarks.tiny import TINY_OVERRIDES
from lpips_jax import pretrained
from lpips_jax.core import cli
from lpips_jax.core.progress import progress_bar
from lpips_jax.storage import stores
from lpips_jax.storage.staging import staged
from lpips_jax.storage.transfer import counting, upload

TASKS = 'sync_expert', 'generator'
SAVE_EVERY, EVALUATE_EVERY = 4, 40  # steps
START_SECONDS = 0.2, 5.0  # least and most after which a run is killed that has hardly begun
POLL_SECONDS = 0.05
PUSH_SECONDS = 0.3  # between two pushes of a run
STDERR = 'stderr'


def define_flags() -> None:
  flags.DEFINE_list('stores', ['gs', 's3'], 'Stores: gs, s3.')
  flags.DEFINE_list('tasks', list(TASKS), 'Tasks to train.')
  flags.DEFINE_integer('kills', 10, 'Number of SIGKILLs for each store and task.', lower_bound=1)
  flags.DEFINE_integer('steps', 120, 'Number of steps of a run.', lower_bound=EVALUATE_EVERY)
  flags.DEFINE_integer('seed', 0, 'Draws the moments.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  commands.register_choices('stores', ['gs', 's3'])
  commands.register_choices('tasks', TASKS)


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  figures: dict[str, Any] = {}
  with tempfile.TemporaryDirectory() as temporary:
    directory = Path(temporary)
    expert = directory / 'sync_expert' / 'checkpoint'
    train('sync_expert', directory / 'first', 2, directory / 'data', '')  # draws the corpus, which takes its time
    for task in TASKS:  # a generator needs the expert
      train(task, directory / task, given.steps, directory / 'data', expert)
    for store in given.stores:
      with buckets.bucket(store) as bucket, buckets.environment(bucket.for_copies(directory / store)):
        upload(directory / 'data', f'{bucket.url}/data')
        upload(expert, f'{bucket.url}/expert/checkpoint')
        for task in given.tasks:
          found = kill_and_compare(bucket.url, task, directory / task, given.steps, given.kills, given.seed)
          figures[f'{store} {task}'] = found
          print(json.dumps({f'{store} {task}': found}), flush=True)
  commands.write_figures(given.output, figures)


def kill_and_compare(url: str, task: str, whole: Path, steps: int, kills: int, seed: int) -> dict[str, Any]:
  """Trains in a bucket under SIGKILLs; compares what comes out with an undisturbed local run.

  Args:
    url: of the bucket, with `data` and `expert`.
    task: to train.
    whole: workdir of the local run.
    steps: of both.
    kills: number of SIGKILLs: one in three soon after the start, the others among the steps.
    seed: draws their moments.
  """
  draw, workdir = random.Random(f'{seed} {task}'), f'{url}/{task}'
  counted: list[list[int]] = []
  with progress_bar(f'kills of {task}', kills, 'kill') as bar, tempfile.TemporaryDirectory() as temporary:
    for number in range(kills):
      run = start(task, workdir, steps, f'{url}/data', f'{url}/expert/checkpoint', Path(temporary))
      if number % 3 == 1:
        time.sleep(draw.uniform(*START_SECONDS))
      else:
        _wait_for_step(run, workdir, steps * draw.uniform(number, number + 1) / (kills + 1))
        time.sleep(draw.uniform(0, PUSH_SECONDS))
      run.kill()
      if run.wait() != -signal.SIGKILL:
        raise RuntimeError(f'the run ended by itself: {(Path(temporary) / STDERR).read_text() or "take more steps"}')
      counted.append(loadable_steps(workdir))
      bar.update()
  train(task, workdir, steps, f'{url}/data', f'{url}/expert/checkpoint')
  return {
    'steps in the bucket after each kill': counted,
    'equal bit for bit': equal(staged(f'{workdir}/checkpoint'), whole / 'checkpoint', steps),
    'each step logged once': logged(staged(workdir) / 'metrics.jsonl') == logged(whole / 'metrics.jsonl'),
  }


def train(task: str, workdir: str | Path, steps: int, data_dir: str | Path, expert: str | Path) -> float:
  """Trains to the end, and returns the seconds that it took; raises RuntimeError if that fails."""
  begun = time.monotonic()
  with tempfile.TemporaryDirectory() as temporary:
    run = start(task, workdir, steps, data_dir, expert, Path(temporary))
    if run.wait():
      raise RuntimeError(f'train.py ended with status {run.returncode}: {(Path(temporary) / STDERR).read_text()}')
  return time.monotonic() - begun


def start(
  task: str, workdir: str | Path, steps: int, data_dir: str | Path, expert: str | Path, directory: Path
) -> Command:
  """Starts train.py in a directory, which gets its `STDERR`."""
  values: dict[str, object] = TINY_OVERRIDES[task] | {
    'data.data_dir': data_dir,
    'steps': steps,
    'log_every': 1,
    'eval_every': EVALUATE_EVERY,
    'checkpoint_every': SAVE_EVERY,
    'keep': 2,
    'optimizer.warmup_steps': 1,
    'optimizer.cosine': False,
  }
  if task == 'generator':
    values['sync_expert'] = expert
  config = [f'--config={commands.ROOT / "configs" / "quickstart.py"}:{task}']
  config += [f'--config.{name}={value}' for name, value in values.items()]
  line = [str(commands.ROOT / 'train.py'), *config, f'--workdir={workdir}']
  clients = {name: value for name, value in os.environ.items() if name.startswith(('STORAGE', 'AWS', 'LIPSYNC'))}
  return Command(line, directory, directory / STDERR, clients | {'LIPSYNC_PUSH_SECONDS': str(PUSH_SECONDS)})


def _wait_for_step(run: Command, workdir: str, step: float) -> None:
  """Waits until the bucket has a whole step of a run that is not before `step`, or the run has ended."""
  while run.poll() is None and max(whole_steps(workdir), default=-1) < step:
    time.sleep(POLL_SECONDS)


def whole_steps(workdir: str) -> list[int]:
  """Returns the numbers of the steps in the bucket that count."""
  names = counting(file.name for file in stores.files_below(workdir))
  return sorted({int(name.split('/')[1]) for name in names if re.match(r'checkpoint/\d+/', name)})


def loadable_steps(workdir: str) -> list[int]:
  """Loads each step in the bucket that counts; returns their numbers."""
  steps = whole_steps(workdir)
  for step in steps:
    pretrained.load(f'{workdir}/checkpoint/{step}')
  return steps


def equal(found: Path, whole: Path, step: int) -> bool:
  """Returns whether two checkpoints have the same state at a step: every array, and the position in the data."""
  ours, theirs = (directory / str(step) for directory in (found, whole))
  for name in 'state', 'model':
    pairs = zip(_arrays(ours, name), _arrays(theirs, name), strict=True)
    if not all(a == b and np.array_equal(x, y) for (a, x), (b, y) in pairs):
      return False
  positions = [json.loads(min(path.glob('data/*.json')).read_text()) for path in (ours, theirs)]
  return positions[0] == positions[1]


def _arrays(step: Path, name: str) -> list[tuple[Any, np.ndarray]]:
  from orbax.checkpoint import v1 as ocp

  here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  shapes = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), ocp.metadata(step, name).metadata
  )
  return jax.tree.leaves_with_path(ocp.load_checkpointables(step, {name: shapes})[name])


def logged(log: Path) -> Sequence[tuple[str, int]]:
  lines = [json.loads(line) for line in log.read_text().splitlines()]
  return [(line['kind'], line['step']) for line in lines if line['kind'] in ('train', 'eval')]


if __name__ == '__main__':
  define_flags()
  cli.run(main)
