"""Builds a TFDS dataset from prepared clips: `tfds build` without TensorFlow.

  python -m data_pipeline.build data_pipeline/corpora/lrs2 --manual_dir=PREPARED --data_dir=DIR --num_shards=64

The `tfds` command imports TensorFlow and Apache Beam for another of its subcommands and cannot start without them,
although building needs neither. The flags are those of `tfds build`. Both directories may be in buckets: prepared clips
are copied to this machine first, and what was built is uploaded at the end.
"""

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import simple_parsing
from etils import epath
from tensorflow_datasets.scripts.cli import build

from data_pipeline.corpora.remote import INFO
from lpips_jax.core import cli
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import expand_home, show_as, shown
from lpips_jax.storage import staging, stores, transfer
from lpips_jax.storage.places import is_remote
from lpips_jax.storage.stores import RemoteFile

NAME = 'python -m data_pipeline.build'


def main() -> None:
  parser = simple_parsing.ArgumentParser(NAME, description=build.Args.__doc__)
  parser.add_arguments(build.Args, 'build')
  arguments = [expand_home(argument) for argument in sys.argv[1:]]
  try:
    for argument in arguments:
      is_remote(argument.rpartition('=')[2])  # URLs that are not known here
    command = parser.parse_args(arguments).build
    with _built_in(str(command.paths.data_dir)) as directory:
      paths = {'data_dir': epath.Path(directory)}
      if command.paths.manual_dir and is_remote(command.paths.manual_dir):
        paths['manual_dir'] = epath.Path(staging.staged(command.paths.manual_dir))
      dataclasses.replace(command, paths=dataclasses.replace(command.paths, **paths)).execute()
  except (UserError, OSError, AssertionError) as error:  # TFDS asserts that --manual_dir exists
    print(f'{NAME}: ' + ' '.join(shown(str(error)).split()), file=sys.stderr)
    sys.exit(cli.BAD_INPUT)


@contextlib.contextmanager
def _built_in(data_dir: str) -> Iterator[str]:
  """Yields the directory to build in: the one given, or for a URL a new one, which is uploaded if the body succeeds.

  The new one holds the descriptions of what is in the bucket, so that TFDS sees what was built before.

  Raises:
    UserError: the bucket cannot be read or written to.
  """
  if not is_remote(data_dir):
    yield data_dir
    return
  url = data_dir.rstrip('/')
  with tempfile.TemporaryDirectory(dir=staging.made_root(), prefix='built-') as around:
    directory = Path(around) / Path(url).name
    directory.mkdir()
    show_as(directory, url)
    with stores.explained(url, 'read'):
      there = stores.persistently(lambda: stores.files_below(url), url)
    transfer.check_writable(f'{url}/{Path(around).name}')
    transfer.download(url, [file for file in there if file.name.endswith('.json')], directory, shown=False)
    before = _states(directory)
    yield str(directory)
    built = {name for name, state in _states(directory).items() if before.get(name) != state}
    _upload(directory, url, built, there)


def _upload(directory: Path, url: str, built: set[str], there: list[RemoteFile]) -> None:
  """Uploads what was built; versions that were built anew do not count meanwhile, and lose their old files."""
  versions = {name.removesuffix(INFO) for name in built if name.endswith(INFO)}
  old = [file.name for file in there if f'{file.name.rpartition("/")[0]}/' in versions]
  with stores.explained(url, 'written to'):
    for name in sorted(old, key=lambda name: not name.endswith(INFO)):
      stores.persistently(partial(stores.delete, f'{url}/{name}'), url)
    transfer.put_all(directory, sorted(name for name in built if not name.endswith(INFO)), url)
    transfer.put_all(directory, sorted(name for name in built if name.endswith(INFO)), url)


def _states(directory: Path) -> dict[str, tuple[int, int]]:
  """Returns the sizes and inodes of the files in a directory, by their names in it."""
  files = [path for path in directory.rglob('*') if path.is_file()]
  return {file.relative_to(directory).as_posix(): (file.stat().st_mtime_ns, file.stat().st_ino) for file in files}


if __name__ == '__main__':
  main()
