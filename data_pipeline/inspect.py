"""Inspects a corpus before training: what it holds, what is wrong with it, and the windows that training sees.

  python -m data_pipeline.inspect talking_faces/quickstart --split=train --data_dir=runs/data --output=inspect.html

Prints statistics and problems, and writes them as a page, with histograms and windows as a generator is trained on.
"""

from pathlib import Path

from absl import flags

from lpips_jax.core import cli

MAX_NAMED = 5  # clips that are named for each problem; the page names more


def define_flags() -> None:
  flags.DEFINE_string('dataset', None, 'A corpus: talking_faces, talking_faces/quickstart, lrs2, …')
  flags.DEFINE_string('split', 'train', 'Its split.')
  flags.DEFINE_string('data_dir', 'runs/data', 'Directory of the TFDS datasets; here or in a bucket, as --output.')
  flags.DEFINE_string('output', 'inspect.html', 'The page to write.')
  flags.DEFINE_integer('windows', 12, 'Number of windows to show.', lower_bound=0)
  flags.DEFINE_integer('seed', 0, 'Draws the windows.', lower_bound=0)
  flags.DEFINE_integer('max_clips', None, 'Reads at most this many clips, spread over the split.', lower_bound=1)


def main() -> None:
  cli.require_flags('dataset', 'output')
  given = flags.FLAGS
  if Path(given.output).is_dir():
    cli.fail(f'{given.output} is a directory: --output is the page to write')

  from data_pipeline import corpora  # here, so that bad flags are reported at once
  from data_pipeline.inspection import page
  from data_pipeline.inspection.summary import UNREADABLE, spread_indices, statistics_as_text, summarise
  from lpips_jax.storage import transfer

  source = corpora.source(given.dataset, given.split, given.data_dir)
  with transfer.local_output(given.output) as output:
    output.parent.mkdir(parents=True, exist_ok=True)  # before all clips are read, so that it fails early
    summary = summarise(source, spread_indices(len(source), given.max_clips))
    title = f'{given.dataset} {given.split}'
    if not summary.measures['length (s)']:
      cli.fail(f'{title} has no clip that can be read: {next(iter(summary.problems[UNREADABLE]), "it is empty")}')
    windows = page.draw_windows(source, summary, given.windows, given.seed)
    print(f'{title}: {summary.counts()}')
    print('\n'.join([*statistics_as_text(summary), *summary.problem_lines(MAX_NAMED)]))
    page.write_page(output, title, summary, windows)
  print(f'look at {given.output}')


if __name__ == '__main__':
  define_flags()
  cli.run(main, 'dataset', remote=('data_dir', 'output'))
