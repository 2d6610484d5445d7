"""Whether a run that is killed again and again ends with the same parameters as one that is left alone.

  python -m benchmarks.interruptions --output=interruptions.json
  python -m benchmarks.interruptions --processes=2 --workers=1 --kills=0 --terms=20

Trains a tiny generator with every loss for 200 steps undisturbed, then once more, and kills that run at random moments,
20 times with SIGKILL and 5 times with SIGTERM, which all of its processes get at once, data workers too. After each,
every checkpoint there is must be readable; SIGTERM must end with status 0, and lose no step that was made. Takes some
ten minutes.
"""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
from absl import flags
from orbax.checkpoint import v1 as ocp
from tqdm import tqdm

from benchmarks import commands
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole

STEPS = 200
STARTING = 12.0  # seconds, about, until the first step

flags.DEFINE_integer('kills', 20, 'Times with SIGKILL.', lower_bound=0)
flags.DEFINE_integer('terms', 5, 'Times with SIGTERM.', lower_bound=0)
flags.DEFINE_integer('processes', 1, 'How many train as one; several are left alone while they start.', lower_bound=1)
flags.DEFINE_integer('workers', 0, 'Data workers of each.', lower_bound=0)
flags.DEFINE_integer('seed', 0, 'Of the moments.')
flags.DEFINE_string('data_dir', 'runs/data', 'Where TFDS keeps its datasets.')
flags.DEFINE_string('output', None, 'A JSON file for the figures.')


def main() -> None:
  given = flags.FLAGS
  with commands.tiny_runs(given.data_dir) as runs:
    figures = interrupted(runs, given)
  print(json.dumps(figures, indent=2))
  if given.output:
    write_whole(Path(given.output), json.dumps(figures, indent=2) + '\n')
  if not figures['equal'] or figures['unreadable'] or figures['bad_endings'] or figures['lost']:
    cli.fail('an interrupted run is not what it would have been')


def interrupted(runs: commands.TinyRuns, given: flags.FlagValues) -> dict:
  """Trains once without and once with interruptions, looks at what each of them left, and compares the ends."""
  values = {'steps': STEPS, 'eval_every': 20, 'checkpoint_every': 5, 'log_every': 1, 'keep': 3}
  values |= {'data__workers': given.workers}
  _end_well(runs, 'whole', given.processes, values)
  whole, cut = (runs.directory / name / 'checkpoint' for name in ('whole', 'cut'))
  signals = [signal.SIGKILL] * given.kills + [signal.SIGTERM] * given.terms
  chance = random.Random(given.seed)
  chance.shuffle(signals)
  figures = {'steps': STEPS, 'reached': [], 'signals': [], 'bad_endings': [], 'unreadable': [], 'lost': []}
  for sent in tqdm(signals, 'interrupting', unit='run', disable=None):
    running = _start(runs, 'cut', given.processes, values)
    _wait(running[0], cut.parent, chance, 2 * STEPS // len(signals), chance.random() < 0.25 and len(running) == 1)
    statuses = commands.end(running, sent)
    figures['bad_endings'] += [x for x in statuses if x != (0 if sent == signal.SIGTERM else -signal.SIGKILL)]
    found = _steps(cut)
    figures['reached'].append(max(found, default=0))
    figures['signals'].append(f'{sent.name}: {", ".join(map(str, statuses))}')
    figures['unreadable'] += [step for step in found if not _readable(cut, step)]
    if sent == signal.SIGTERM and (made := _logged(cut.parent / 'metrics.jsonl')) > max(found, default=0):
      figures['lost'].append(made - max(found, default=0))
  _end_well(runs, 'cut', given.processes, values)
  return figures | {'equal': _same(_load(whole, STEPS), _load(cut, STEPS))}


def _start(runs: commands.TinyRuns, name: str, processes: int, values: dict) -> list[subprocess.Popen]:
  if processes == 1:
    return [runs.start(name, **values)]
  coordinator = f'--coordinator=localhost:{commands.free_port()}'
  places = [(coordinator, f'--processes={processes}', f'--process={k}') for k in range(processes)]
  return [runs.start(name, place=place, **values) for place in places]


def _end_well(runs: commands.TinyRuns, name: str, processes: int, values: dict) -> None:
  statuses = [process.wait() for process in _start(runs, name, processes, values)]
  if any(statuses):
    runs.fail(f'train.py failed in {name}')


def _wait(process: subprocess.Popen, run: Path, chance: random.Random, steps: int, starting: bool) -> None:
  """Until a random moment: while the run starts, or after some steps more, not at its end."""
  if starting:
    time.sleep(chance.uniform(0.5, STARTING))  # Python itself takes a while until it can be told
    return
  wanted = min(max(_steps(run / 'checkpoint'), default=0) + chance.randint(1, steps), STEPS - 2)
  delay, began = chance.uniform(0, 0.3), time.time()
  while process.poll() is None and _logged(run / 'metrics.jsonl', began) < wanted:
    time.sleep(0.01)
  time.sleep(delay)


def _logged(path: Path, since: float = 0) -> int:
  """The last step in a log; 0 as long as it is that of the run before."""
  try:
    if path.stat().st_mtime < since:
      return 0
    return json.loads(path.read_text().splitlines()[-1])['step']
  except (OSError, IndexError, ValueError):
    return 0


def _steps(checkpoint: Path) -> list[int]:
  return sorted(int(child.name) for child in checkpoint.glob('*') if child.name.isdigit())


def _readable(checkpoint: Path, step: int) -> bool:
  try:
    return bool(_load(checkpoint, step))
  except Exception as error:  # whatever Orbax makes of it
    print(f'step {step}: {error}')
    return False


def _load(checkpoint: Path, step: int) -> dict[str, np.ndarray]:
  """All arrays of a step, by name."""
  import jax

  from lpips_jax.pretrained.checkpoint import on_one_device

  with ocp.training.Checkpointer(checkpoint) as checkpointer:
    shapes = {name: ocp.metadata(checkpoint / str(step), name).metadata for name in ('state', 'model')}
    saved = checkpointer.load_checkpointables(step, on_one_device(shapes))
  return {jax.tree_util.keystr(path): np.asarray(x) for path, x in jax.tree_util.tree_leaves_with_path(saved)}


def _same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
  return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


if __name__ == '__main__':
  cli.run(main)
