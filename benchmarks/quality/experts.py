"""Reliability of sync expert training: every seed must leave a loss of ln 2, on clean and on half-misaligned data.

  python -m benchmarks.quality.experts --output=experts.json

Trains experts with the quickstart's recipe (8 clips of 8 windows per step: a global batch of 64) for twice as long,
each seed once on clean clips and once on clips half of which have their sound 1 to 4 frames off. Reports when the
balanced cross-entropy on clean held-out clips first fell below 0.5, how well the expert distinguishes pairs three and
more frames apart on unseen speakers, and which share of the training clips its diagnosis called misaligned, beside the
true share. A run takes some minutes on two cores; the same command resumes interrupted runs.
"""

import json
from pathlib import Path

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from benchmarks import commands
from lpips_jax.core import cli

LEARNED_BCE = 0.5  # an expert that knows nothing has ln 2 = 0.69
CLIPS_TO_DIAGNOSE = 48
CLIPS_TO_SCORE = 20


def define_flags() -> None:
  flags.DEFINE_integer('seeds', 5, 'Number of runs for each share.', lower_bound=1)
  flags.DEFINE_list('shifted', ['0.0', '0.5'], 'Shares of the training clips that are misaligned.')
  flags.DEFINE_integer('steps', 240, 'Training steps of a run.', lower_bound=100)
  flags.DEFINE_string('workdir', 'runs/experts', 'Directory of the runs.')
  flags.DEFINE_string('data_dir', 'runs/data', 'Directory of the TFDS datasets.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')


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
  commands.write_figures(given.output, rows)


def measure(share: float, seed: int, given: flags.FlagValues) -> dict[str, float | None]:
  """Trains and scores one expert.

  Args:
    share: share of the training clips that are misaligned.
    seed: seed of the run.
    given: the flags.

  Returns:
    The table's row: `left` is the first evaluated step below `LEARNED_BCE`, None if there is none; `named` the
    misaligned share by the expert's diagnosis, `true` the actual one.
  """
  workdir = Path(given.workdir) / f'shifted{share}_seed{seed}'
  overrides = {'steps': given.steps, 'eval_every': 80, 'checkpoint_every': 80, 'losses.hardness_steps': given.steps}
  overrides |= {'seed': seed, 'data.shifted': share, 'diagnosis_clips': CLIPS_TO_DIAGNOSE}
  scores = commands.train_and_score('quickstart.py:sync_expert', workdir, given.data_dir, CLIPS_TO_SCORE, overrides)

  lines = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
  evaluated = [line for line in lines if line['kind'] == 'eval']
  return {
    'shifted': share,
    'seed': seed,
    'left': next((line['step'] for line in evaluated if line['bce'] < LEARNED_BCE), None),
    'bce': evaluated[-1]['bce'],
    'accuracy': scores['expert_accuracy'],
    'named': evaluated[-1].get('shifted', float('nan')),
    'true': _true_share(workdir, share),
  }


def _true_share(workdir: Path, share: float) -> float:
  """The misaligned share of the clips that the diagnosis examined."""
  from data_pipeline import input as data
  from data_pipeline.misaligned import shift_of

  config = ConfigDict(json.loads((workdir / 'checkpoint' / 'config.json').read_text()))
  return float(np.mean([shift_of(clip.name, share) != 0 for clip in data.clips_to_watch(config)]))


if __name__ == '__main__':
  define_flags()
  cli.run(main)
