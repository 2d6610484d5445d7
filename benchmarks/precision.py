"""Whether networks that compute in bfloat16 learn as much as in float32: both tasks, several seeds of each.

  python -m benchmarks.precision --output=precision.json

Trains experts and generators of the quickstart, each from the same seeds in both, and scores them on speakers of a
fresh seed. All generators are trained under, and judged by, the first float32 expert. Prints mean and, over the seeds,
standard deviation, and how far the means are apart in units of it. A run cut short goes on.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from absl import flags
from tqdm import tqdm

from benchmarks import commands
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole

DTYPES = 'float32', 'bfloat16'
MEASURES = {  # of each task, as evaluate.py names them
  'sync_expert': {'expert_accuracy': 'accuracy, three frames and more apart'},
  'generator': {
    'perceptual': 'perceptual distance',
    'lower_half_psnr': 'lower-half PSNR, dB',
    'lower_half_ssim': 'lower-half SSIM',
    'sync_confidence': 'sync confidence',
    'mouth_correlation': 'mouth, correlation',
  },
}

Scores = dict[str, dict[str, list[dict[str, float]]]]  # by task and dtype, of each seed

flags.DEFINE_integer('seeds', 3, 'How many.', lower_bound=2)
flags.DEFINE_integer('expert_steps', 120, 'Of an expert.', lower_bound=1)
flags.DEFINE_integer('generator_steps', 600, 'Of a generator.', lower_bound=1)
flags.DEFINE_integer('at_once', 1, 'How many runs to train side by side.', lower_bound=1)
flags.DEFINE_integer('clips', 16, 'To score.', lower_bound=2)
flags.DEFINE_string('workdir', 'runs/precision', 'Where the runs go.')
flags.DEFINE_string('data_dir', 'runs/data', 'Where TFDS keeps its datasets.')
flags.DEFINE_string('output', None, 'A JSON file for all figures.')


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  scores: Scores = {}
  for task in MEASURES:  # experts first: generators need one
    scores[task] = {dtype: [] for dtype in DTYPES}
    runs = [(dtype, seed) for seed in range(given.seeds) for dtype in DTYPES]
    with ThreadPoolExecutor(given.at_once) as pool:  # of threads that wait for processes
      found = pool.map(lambda run, task=task: measure(task, *run, given), runs)
      for (dtype, _), scored in zip(runs, tqdm(found, task, total=len(runs), unit='run', disable=None), strict=True):
        scores[task][dtype].append(scored)
  print(table(scores))
  if given.output:
    write_whole(Path(given.output), json.dumps(scores, indent=2) + '\n')


def measure(task: str, dtype: str, seed: int, given: flags.FlagValues) -> dict[str, float]:
  """Trains and scores one run; returns the measures of its task."""
  values = {
    'model.dtype': dtype,
    'seed': seed,
    'steps': given.generator_steps if task == 'generator' else given.expert_steps,
  }
  if task == 'generator':
    values['sync_expert'] = _workdir('sync_expert', DTYPES[0], 0, given) / 'checkpoint'
  workdir = _workdir(task, dtype, seed, given)
  found = commands.train_and_score(f'quickstart.py:{task}', workdir, given.data_dir, given.clips, values)
  return {name: found[name] for name in MEASURES[task]}


def _workdir(task: str, dtype: str, seed: int, given: flags.FlagValues) -> Path:
  return Path(given.workdir).absolute() / f'{task}_{dtype}_seed{seed}'


def table(scores: Scores) -> str:
  """A row a measure, in Markdown."""
  lines = ['| | float32 | bfloat16 | means apart, in standard deviations of float32 |', '|---|---:|---:|---:|']
  for task, of_dtypes in scores.items():
    for measure, title in MEASURES[task].items():
      single, half = (np.array([run[measure] for run in of_dtypes[dtype]]) for dtype in DTYPES)
      cells = [f'{values.mean():.3f} ± {values.std(ddof=1):.3f}' for values in (single, half)]
      apart = (half.mean() - single.mean()) / single.std(ddof=1)
      lines.append(f'| {task.replace("_", " ")}: {title} | {" | ".join(cells)} | {apart:+.1f} |')
  return '\n'.join(lines)


if __name__ == '__main__':
  cli.run(main)
