"""What each part of the method is worth: trains its ablations and scores them on speakers never seen.

  python -m benchmarks.ablations --expert=runs/demo/sync_expert --output=ablations.json

Trains every variant of configs/ablations.py that is named, at the quickstart's size, from several seeds and for equally
many steps, under one frozen expert, and scores each on clips of a fresh seed. Prints a Markdown table: mean and, over
the seeds, standard deviation. A run cut short goes on.
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

MEASURES = {
  'sync_confidence': 'sync confidence',
  'perceptual': 'perceptual',
  'lower_half_psnr': 'lower-half PSNR, dB',
  'lower_half_ssim': 'SSIM',
  'mouth_correlation': 'mouth correlation',
}

flags.DEFINE_list(
  'variants', ['full', 'without_sync', 'without_perceptual', 'without_alignment'], 'Of configs/ablations.py.'
)
flags.DEFINE_integer('seeds', 3, 'How many of each.', lower_bound=1)
flags.DEFINE_integer('steps', 600, 'Of a run.', lower_bound=1)
flags.DEFINE_integer('at_once', 1, 'How many runs to train side by side.', lower_bound=1)
flags.DEFINE_integer('clips', 16, 'To score.', lower_bound=2)
flags.DEFINE_string('expert', None, 'The checkpoint of the sync expert.')
flags.DEFINE_string('workdir', 'runs/ablations', 'Where the runs go.')
flags.DEFINE_string('data_dir', 'runs/data', 'Where TFDS keeps its datasets.')
flags.DEFINE_string('output', None, 'A JSON file for all figures.')


def main() -> None:
  cli.require_flags('expert')
  given = flags.FLAGS
  runs = [(variant, seed) for seed in range(given.seeds) for variant in given.variants]
  with ThreadPoolExecutor(given.at_once) as pool:  # of threads that wait for processes
    scored = pool.map(lambda run: measure(*run, given), runs)
    scored = list(tqdm(scored, 'trained and scored', total=len(runs), unit='run', disable=None))
  scores = {variant: [] for variant in given.variants}
  for (variant, _), found in zip(runs, scored, strict=True):
    scores[variant].append(found)
  print(table(scores))
  if given.output:
    write_whole(Path(given.output), json.dumps(scores, indent=2) + '\n')


def measure(variant: str, seed: int, given: flags.FlagValues) -> dict[str, float | None]:
  """Trains and scores one run; returns what evaluate.py found."""
  workdir = Path(given.workdir) / f'{variant}_seed{seed}'
  values = {'steps': given.steps, 'seed': seed, 'sync_expert': given.expert}
  return commands.train_and_score(f'ablations.py:quickstart/{variant}', workdir, given.data_dir, given.clips, values)


def table(scores: dict[str, list[dict[str, float]]]) -> str:
  """Mean ± standard deviation of each measure, a row a variant, and the true frames beside them."""
  lines = ['| | ' + ' | '.join(MEASURES.values()) + ' |', '|---' + '|---:' * len(MEASURES) + '|']
  for variant, runs in scores.items():
    cells = [_spread([run[measure] for run in runs]) for measure in MEASURES]
    lines.append(f'| {variant.replace("_", " ")} | ' + ' | '.join(cells) + ' |')
  runs = next(iter(scores.values()))
  for control in ('copy_reference', 'target'):
    cells = [_spread([run.get(f'{measure}_{control}') for run in runs][:1]) for measure in MEASURES]
    lines.append(f'| {control.replace("_", " ")} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines)


def _spread(values: list[float | None]) -> str:
  if None in values:
    return ''
  return f'{np.mean(values):.3f}' + (f' ± {np.std(values, ddof=1):.3f}' if len(values) > 1 else '')


if __name__ == '__main__':
  cli.run(main)
