"""Whether the sync expert leaves ln 2 from every seed, on clean data and on data of which half are shifted.

  python -m benchmarks.experts --output=experts.json

Trains experts with the quickstart's recipe (8 clips of 8 windows a step: a global batch of 64), but for twice as long,
each seed once on clean clips and once on clips half of which have their sound 1 to 4 frames away. Says when the
balanced cross-entropy on clean held-out clips was first seen below 0.5, how well the expert tells pairs three and more
frames apart on speakers of a fresh seed, and which share of the training clips its diagnosis took to be shifted, beside
the true one. Takes some minutes a run on two cores; a run cut short goes on.
"""

import json
from pathlib import Path

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from benchmarks import commands
from lpips_jax.core import cli
from lpips_jax.core.files import write_whole

LEFT = 0.5  # of ln 2 = 0.69
CLIPS_TO_DIAGNOSE = 48
CLIPS_TO_SCORE = 20

flags.DEFINE_integer('seeds', 5, 'How many.', lower_bound=1)
flags.DEFINE_list('shifted', ['0.0', '0.5'], 'Shares of the training clips that are shifted.')
flags.DEFINE_integer('steps', 240, 'Of a run.', lower_bound=100)
flags.DEFINE_string('workdir', 'runs/experts', 'Where the runs go.')
flags.DEFINE_string('data_dir', 'runs/data', 'Where TFDS keeps its datasets.')
flags.DEFINE_string('output', None, 'A JSON file for the figures.')


def main() -> None:
  given = flags.FLAGS
  rows = []
  print(
    '| shifted | seed | below 0.5 at step | BCE at the end | accuracy, fresh speakers | shifted, by diagnosis | true |'
  )
  print('|---:|---:|---:|---:|---:|---:|---:|')
  for share in map(float, given.shifted):
    for seed in range(given.seeds):
      row = measure(share, seed, given)
      rows.append(row)
      print(
        f'| {share:.0%} | {seed} | {row["left"]} | {row["bce"]:.3f} | {row["accuracy"]:.1%} | {row["named"]:.1%} '
        f'| {row["true"]:.1%} |',
        flush=True,
      )
  if given.output:
    write_whole(Path(given.output), json.dumps(rows, indent=2) + '\n')


def measure(share: float, seed: int, given: flags.FlagValues) -> dict[str, float]:
  """Trains and judges one expert."""
  workdir = Path(given.workdir) / f'shifted{share}_seed{seed}'
  values = {'steps': given.steps, 'eval_every': 80, 'checkpoint_every': 80, 'losses.hardness_steps': given.steps}
  values |= {'seed': seed, 'data.shifted': share, 'diagnosis_clips': CLIPS_TO_DIAGNOSE}
  scores = commands.train_and_score('quickstart.py:sync_expert', workdir, given.data_dir, CLIPS_TO_SCORE, values)

  lines = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  evaluated = [line for line in lines if line['kind'] == 'eval']
  return {
    'shifted': share,
    'seed': seed,
    'left': next((line['step'] for line in evaluated if line['bce'] < LEFT), None),
    'bce': evaluated[-1]['bce'],
    'accuracy': scores['expert_accuracy'],
    'named': evaluated[-1].get('shifted', float('nan')),
    'true': _true_share(workdir, share),
  }


def _true_share(workdir: Path, share: float) -> float:
  """Of the clips that the diagnosis looked at."""
  from data_pipeline import input as data
  from data_pipeline.misaligned import shift_of

  config = ConfigDict(json.loads((workdir / 'checkpoint' / 'config.json').read_text()))
  return float(np.mean([shift_of(clip.name, share) != 0 for clip in data.clips_to_watch(config)]))


if __name__ == '__main__':
  cli.run(main)
