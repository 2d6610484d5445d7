"""`tfds build`, for machines without TensorFlow.

  tfds build data_pipeline/corpora/lrs2 --manual_dir=PREPARED --data_dir=DIR
  python -m data_pipeline.build data_pipeline/corpora/lrs2 --manual_dir=PREPARED --data_dir=DIR

The command-line tool of TensorFlow Datasets imports TensorFlow for another of its commands, and so cannot start without
it, though building needs none. This package installs the tool anew: it runs `build` alone where it can.
"""

import importlib.util
import sys

import simple_parsing
from tensorflow_datasets.scripts.cli import build

from lpips_jax import cli


def tfds() -> None:
  """What `tfds` runs: TFDS's own tool where there is a TensorFlow, else its `build`."""
  if importlib.util.find_spec('tensorflow'):
    from tensorflow_datasets.scripts.cli.main import launch_cli

    launch_cli()
  elif sys.argv[1:2] == ['build']:
    _build(sys.argv[2:])
  else:
    sys.exit('tfds: without TensorFlow there is `tfds build` alone: see tfds build --help')


def _build(arguments: list[str]) -> None:
  parser = simple_parsing.ArgumentParser('tfds build', description=build.Args.__doc__)
  parser.add_arguments(build.Args, 'build')
  command = parser.parse_args(arguments).build
  try:
    command.execute()
  except cli.UserError as error:
    sys.exit(f'tfds build: {error}')


if __name__ == '__main__':
  _build(sys.argv[1:])
