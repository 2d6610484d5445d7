"""Scores a checkpoint on a held-out split, beside its controls.

  python evaluate.py --checkpoint=runs/demo/checkpoint --dataset=talking_faces/quickstart --output=runs/eval

Leaves metrics.json and, for a generator, samples.png (rows: masked, reference, generated, target) and metrics.md in
--output. With --seed=N the embedded corpus draws a test split of new speakers.
"""

import json
from pathlib import Path

from absl import flags

from lpips_jax import cli
from lpips_jax.files import write_whole

flags.DEFINE_string('checkpoint', None, 'A generator or a sync expert: the checkpoint directory that train.py left.')
flags.DEFINE_string('dataset', None, 'A corpus: talking_faces, talking_faces/quickstart, lrs2, …')
flags.DEFINE_string('split', 'test', 'Its split.')
flags.DEFINE_string('data_dir', 'runs/data', 'Where TFDS keeps its datasets.')
flags.DEFINE_integer(
  'seed', None, 'Draws a fresh test split of the embedded corpus, of speakers never seen.', lower_bound=0
)
flags.DEFINE_integer('max_clips', None, 'Scores only the first clips.', lower_bound=2)
flags.DEFINE_string('output', None, 'The directory for the results.')


def main() -> None:
  cli.require_flags('checkpoint', 'dataset', 'output')
  given = flags.FLAGS

  from data_pipeline import corpora  # here, so that bad flags are told at once
  from data_pipeline import input as data
  from lpips_jax import evaluation, perceptual, pretrained
  from lpips_jax.media import pictures

  network = pretrained.load(given.checkpoint)
  if given.seed is None:
    source = corpora.source(given.dataset, given.split, given.data_dir)
  else:
    source = corpora.fresh_test_source(given.dataset, given.seed, given.data_dir)
  clips = data.whole_clips(source, network.config.model.image_size, given.max_clips)

  speakers = {clip.speaker for clip in clips}
  if network.config.task == 'sync_expert':
    expert = network
  else:
    expert = pretrained.load(pretrained.find(given.checkpoint) / pretrained.SYNC_EXPERT)
    if len(speakers) < 2:
      cli.fail(f'the control with another speaker needs two speakers, {len(clips)} clips have one: raise --max_clips')

  output = Path(given.output)
  output.mkdir(parents=True, exist_ok=True)
  split = given.split if given.seed is None else 'test'
  results = {'dataset': given.dataset, 'split': split, 'seed': given.seed, 'clips': len(clips)}
  results |= {'speakers': len(speakers), 'step': network.step} | evaluation.score_expert(expert, clips)
  if network is not expert:
    try:
      weights = perceptual.load_weights(**network.config.perceptual)
    except cli.UserError as error:
      weights, results['perceptual_missing'] = None, str(error)
    scores, rows = evaluation.score_generator(network, expert, clips, weights)
    results |= {'perceptual_source': network.config.perceptual.source} | evaluation.flat(scores)
    pictures.write_png(output / 'samples.png', pictures.grid(rows))
    print(evaluation.table(scores))
    write_whole(output / 'metrics.md', evaluation.table(scores) + '\n')
  write_whole(output / 'metrics.json', json.dumps(results, indent=2) + '\n')
  print(f'expert accuracy {results["expert_accuracy"]:.3f} on {len(clips)} clips; wrote {output / "metrics.json"}')


if __name__ == '__main__':
  cli.run(main)
