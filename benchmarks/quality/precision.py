"""Quality of networks trained in bfloat16 beside float32, for both tasks.

  python -m benchmarks.quality.precision --output=precision.json

Trains experts and generators of the quickstart in both formats from the same seeds, and scores them on unseen speakers.
The first float32 expert trains and scores all generators. Prints means and standard deviations over the seeds, and how
many standard deviations the means are apart. The same command resumes interrupted runs.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from absl import flags
from tqdm import tqdm

from benchmarks import commands
from lpips_jax.core import cli

DTYPES = 'float32', 'bfloat16'
MEASURES = {  # task -> metric of evaluate.py -> title
  'sync_expert': {'expert_accuracy': 'accuracy, three frames and more apart'},
  'generator': {
    'perceptual': 'perceptual distance',
    'lower_half_psnr': 'lower-half PSNR, dB',
    'lower_half_ssim': 'lower-half SSIM',
    'sync_confidence': 'sync confidence',
    'mouth_correlation': 'mouth, correlation',
  },
}

Metrics = dict[str, float | None]
Scores = dict[str, dict[str, list[Metrics]]]  # task -> dtype -> a run per seed


def define_flags() -> None:
  flags.DEFINE_integer('seeds', 3, 'Number of runs of each task and format.', lower_bound=2)
  flags.DEFINE_integer('expert_steps', 120, 'Training steps of an expert.', lower_bound=1)
  flags.DEFINE_integer('generator_steps', 600, 'Training steps of a generator.', lower_bound=1)
  flags.DEFINE_integer('at_once', 1, 'Number of runs to train side by side.', lower_bound=1)
  flags.DEFINE_integer('clips', 16, 'Number of clips to score.', lower_bound=2)
  flags.DEFINE_string('workdir', 'runs/precision', 'Directory of the runs.')
  flags.DEFINE_string('data_dir', 'runs/data', 'Directory of the TFDS datasets.')
  flags.DEFINE_string('output', None, 'JSON file for all figures.')


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  scores: Scores = {}
  for task in MEASURES:  # experts first: generators need one
    scores[task] = {dtype: [] for dtype in DTYPES}
    runs = [(dtype, seed) for seed in range(given.seeds) for dtype in DTYPES]
    with ThreadPoolExecutor(given.at_once) as pool:  # its threads wait for subprocesses
      found = pool.map(lambda run, task=task: measure(task, run[0], run[1], given), runs)
      for (dtype, _), metrics in zip(runs, tqdm(found, task, total=len(runs), unit='run', disable=None), strict=True):
        scores[task][dtype].append(metrics)
  print(table(scores))
  commands.write_figures(given.output, scores)


def measure(task: str, dtype: str, seed: int, given: flags.FlagValues) -> Metrics:
  """Trains and scores one run; returns the measures of its task."""
  steps = given.generator_steps if task == 'generator' else given.expert_steps
  overrides = {'model.dtype': dtype, 'seed': seed, 'steps': steps}
  if task == 'generator':
    overrides['sync_expert'] = _workdir('sync_expert', DTYPES[0], 0, given) / 'checkpoint'
  workdir = _workdir(task, dtype, seed, given)
  found = commands.train_and_score(f'quickstart.py:{task}', workdir, given.data_dir, given.clips, overrides)
  return {name: found[name] for name in MEASURES[task]}


def _workdir(task: str, dtype: str, seed: int, given: flags.FlagValues) -> Path:
  return Path(given.workdir).absolute() / f'{task}_{dtype}_seed{seed}'


def table(scores: Scores) -> str:
  """Returns a Markdown table with a row for each measure."""
  lines = ['| | float32 | bfloat16 | means apart, in standard deviations of float32 |', '|---|---:|---:|---:|']
  for task, by_dtype in scores.items():
    for measure, title in MEASURES[task].items():
      single, half = (np.array([run[measure] for run in by_dtype[dtype]], np.float64) for dtype in DTYPES)
      cells = [f'{values.mean():.3f} ± {values.std(ddof=1):.3f}' for values in (single, half)]
      apart = (half.mean() - single.mean()) / single.std(ddof=1)
      lines.append(f'| {task.replace("_", " ")}: {title} | {" | ".join(cells)} | {apart:+.1f} |')
  return '\n'.join(lines)


if __name__ == '__main__':
  define_flags()
  cli.run(main)
