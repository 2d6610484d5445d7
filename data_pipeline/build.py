"""Builds a TFDS dataset from prepared clips: `tfds build` without TensorFlow.

  python -m data_pipeline.build data_pipeline/corpora/lrs2 --manual_dir=PREPARED --data_dir=DIR

The `tfds` command imports TensorFlow and Apache Beam for another of its subcommands and cannot start without them,
although building needs neither. The flags are those of `tfds build`.
"""

import sys

import simple_parsing
from tensorflow_datasets.scripts.cli import build

from lpips_jax.core import cli
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import expand_home

NAME = 'python -m data_pipeline.build'


def main() -> None:
  parser = simple_parsing.ArgumentParser(NAME, description=build.Args.__doc__)
  parser.add_arguments(build.Args, 'build')
  command = parser.parse_args([expand_home(argument) for argument in sys.argv[1:]]).build
  try:
    command.execute()
  except (UserError, OSError, AssertionError) as error:  # TFDS asserts that --manual_dir exists
    print(f'{NAME}: ' + ' '.join(str(error).split()), file=sys.stderr)
    sys.exit(cli.BAD_INPUT)


if __name__ == '__main__':
  main()
