"""Contribution of each part of the method: trains its ablations and scores them on held-out speakers.

  python -m benchmarks.quality.ablations --expert=runs/demo/sync_expert --output=ablations.json

Trains each chosen variant of configs/ablations.py at the quickstart's size, from several seeds, for the same number of
steps and under one frozen expert, and scores it on clips of unseen speakers. Prints a Markdown table of means and
standard deviations over the seeds. The same command resumes interrupted runs.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from absl import flags
from tqdm import tqdm

from benchmarks import commands
from lpips_jax.core import cli

MEASURES = {
  'sync_confidence': 'sync confidence',
  'perceptual': 'perceptual',
  'lower_half_psnr': 'lower-half PSNR, dB',
  'lower_half_ssim': 'SSIM',
  'mouth_correlation': 'mouth correlation',
}

Metrics = dict[str, float | None]


def define_flags() -> None:
  flags.DEFINE_list(
    'variants', ['full', 'without_sync', 'without_perceptual', 'without_alignment'], 'Variants of configs/ablations.py.'
  )
  flags.DEFINE_integer('seeds', 3, 'Number of runs of each variant.', lower_bound=1)
  flags.DEFINE_integer('steps', 600, 'Training steps of a run.', lower_bound=1)
  flags.DEFINE_integer('at_once', 1, 'Number of runs to train side by side.', lower_bound=1)
  flags.DEFINE_integer('clips', 16, 'Number of clips to score.', lower_bound=2)
  flags.DEFINE_string('expert', None, 'Checkpoint of the sync expert.')
  flags.DEFINE_string('workdir', 'runs/ablations', 'Directory of the runs.')
  flags.DEFINE_string('data_dir', 'runs/data', 'Directory of the TFDS datasets.')
  flags.DEFINE_string('output', None, 'JSON file for all figures.')


def main() -> None:
  cli.require_flags('expert')
  given = flags.FLAGS
  runs: list[tuple[str, int]] = [(variant, seed) for seed in range(given.seeds) for variant in given.variants]
  scores: dict[str, list[Metrics]] = {variant: [] for variant in given.variants}
  with ThreadPoolExecutor(given.at_once) as pool:  # its threads wait for subprocesses
    found = pool.map(lambda run: measure(run[0], run[1], given), runs)
    found_in_order = tqdm(found, 'trained and scored', total=len(runs), unit='run', disable=None)
    for (variant, _), metrics in zip(runs, found_in_order, strict=True):
      scores[variant].append(metrics)
  print(table(scores))
  commands.write_figures(given.output, scores)


def measure(variant: str, seed: int, given: flags.FlagValues) -> Metrics:
  """Trains and scores one run; returns the metrics of evaluate.py."""
  workdir = Path(given.workdir) / f'{variant}_seed{seed}'
  overrides = {'steps': given.steps, 'seed': seed, 'sync_expert': given.expert}
  return commands.train_and_score(f'ablations.py:quickstart/{variant}', workdir, given.data_dir, given.clips, overrides)


def table(scores: dict[str, list[Metrics]]) -> str:
  """Returns a Markdown table: mean ± standard deviation by measure and variant, then the two controls."""
  lines = ['| | ' + ' | '.join(MEASURES.values()) + ' |', '|---' + '|---:' * len(MEASURES) + '|']
  for variant, runs in scores.items():
    cells = [commands.mean_and_deviation([run[measure] for run in runs]) for measure in MEASURES]
    lines.append(f'| {variant.replace("_", " ")} | ' + ' | '.join(cells) + ' |')
  first = next(iter(scores.values()))[0]  # the controls are the same in every run
  for control in ('copy_reference', 'target'):
    cells = [commands.mean_and_deviation([first.get(f'{measure}_{control}')]) for measure in MEASURES]
    lines.append(f'| {control.replace("_", " ")} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines)


if __name__ == '__main__':
  define_flags()
  cli.run(main)
