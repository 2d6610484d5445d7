"""Copies of a corpus in a bucket to the disk, beside a plain parallel copy by the same library.

  python -m benchmarks.speed.staging --output=staging.json

A server on loopback (`benchmarks.speed.object_server`) serves shard files of random bytes; the emulator that tests use
would be slower than either side. `ours` is `storage.staging.staged`, which checks each object, notes it and shows a
bar; `plain` is `fs.get` of fsspec, recursive, with the same gcsfs. They take turns, every second round in the reverse
order, each with an empty directory. `ratio` is the median of ours over that of plain. `read_again` is the number of
requests for content of a second `staged`.
"""

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from absl import flags

from benchmarks import commands
from benchmarks.speed import object_server
from lpips_jax.core import cli
from lpips_jax.storage import staging, stores

MIB = 1 << 20


def define_flags() -> None:
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  flags.DEFINE_integer('files', 32, 'Number of shard files.', lower_bound=1)
  flags.DEFINE_integer('megabytes', 64, 'Size of each, in MiB.', lower_bound=1)
  flags.DEFINE_integer('rounds', 5, 'Number of rounds.', lower_bound=1)
  flags.DEFINE_string('directory', None, 'Where files are served from and copied to; by default temporary files.')


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  with tempfile.TemporaryDirectory(dir=given.directory) as temporary:
    served, copies = Path(temporary) / 'served', Path(temporary) / 'copies'
    _write_shards(served / 'corpus', given.files, given.megabytes)
    with object_server.served(served) as bucket:
      os.environ |= bucket.environment | {staging.ENVIRONMENT: str(copies)}
      url = f'{bucket.url}/corpus'
      megabytes = given.files * given.megabytes * MIB / 1e6
      sides = {'ours': lambda: staging.staged(url), 'plain': lambda: _get(url, copies / 'plain')}
      rates = _in_turns(sides, copies, megabytes, given.rounds)
      staging.staged(url)
      before = sum(bucket.counts().values())
      staging.staged(url)
      again = sum(bucket.counts().values()) - before
  medians = {name: statistics.median(values) for name, values in rates.items()}
  figures = {
    'megabytes': megabytes,
    'cores': os.cpu_count(),
    'unit': 'MB/s',
    'rates': rates,
    'medians': medians,
    'ratio': medians['ours'] / medians['plain'],
    'read_again': again,
  }
  print(json.dumps(figures, indent=2))
  commands.write_figures(given.output, figures)


def _write_shards(directory: Path, files: int, megabytes: int) -> None:
  directory.mkdir(parents=True)
  for k in range(files):
    with (directory / f'corpus-train.array_record-{k:05d}-of-{files:05d}').open('wb') as file:
      for _ in range(megabytes):
        file.write(os.urandom(MIB))


def _get(url: str, directory: Path) -> None:
  stores.file_system(url).get(url.partition('://')[2], str(directory), recursive=True)


def _in_turns(
  sides: Mapping[str, Callable[[], object]], copies: Path, megabytes: float, rounds: int
) -> dict[str, list[float]]:
  """Returns the MB/s of each side by round, after a round that does not count; every second one reverses the order."""
  rates: dict[str, list[float]] = {name: [] for name in sides}
  for turn in range(rounds + 1):
    for name in sorted(sides, reverse=bool(turn % 2)):
      shutil.rmtree(copies, ignore_errors=True)
      copies.mkdir()
      begun = time.perf_counter()
      sides[name]()
      rate = megabytes / (time.perf_counter() - begun)
      if turn:
        rates[name].append(rate)
        print(f'round {turn}, {name}: {rate:.0f} MB/s', flush=True)
  return rates


if __name__ == '__main__':
  define_flags()
  cli.run(main)
