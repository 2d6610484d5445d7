"""`tfds build`, for machines without TensorFlow.

  tfds build data_pipeline/corpora/lrs2 --manual_dir=PREPARED --data_dir=DIR
  python -m data_pipeline.build data_pipeline/corpora/lrs2 --manual_dir=PREPARED --data_dir=DIR

The command-line tool of TensorFlow Datasets imports TensorFlow and Apache Beam for another of its commands, and so
cannot start without them, though building needs neither. This package installs the tool anew, with a `build` that can.
"""

import sys

import simple_parsing
from tensorflow_datasets.scripts.cli import build

from lpips_jax import cli


def tfds() -> None:
  """What `tfds` runs: `build` here, its other commands by TFDS's own tool."""
  if sys.argv[1:2] == ['build']:
    _build(sys.argv[2:])
    return
  try:
    from tensorflow_datasets.scripts.cli.main import launch_cli
  except ImportError as error:
    sys.exit(f'tfds: of its commands only `build` does without {error.name}: install it, or see tfds build --help')
  launch_cli()


def _build(arguments: list[str]) -> None:
  parser = simple_parsing.ArgumentParser('tfds build', description=build.Args.__doc__)
  parser.add_arguments(build.Args, 'build')
  command = parser.parse_args([cli.at_home(argument) for argument in arguments]).build
  try:
    command.execute()
  except (cli.UserError, OSError, AssertionError) as error:  # the last is what TFDS raises of a --manual_dir
    print('tfds build: ' + ' '.join(str(error).split()), file=sys.stderr)
    sys.exit(cli.BAD_INPUT)


if __name__ == '__main__':
  _build(sys.argv[1:])
