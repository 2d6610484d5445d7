"""Trains one config with every combination of some values, and gathers what came out in one table.

  python -m lpips_jax.sweep --config=configs/lrs2.py --workdir=runs/sweep --grid=optimizer.learning_rate=1e-4,3e-4 \
    --grid=seed=0,1,2 --config.data.data_dir=DIR

prints the commands of all runs, one a line. --run runs them one after the other; the same command goes on where it was
ended. --index=$SLURM_ARRAY_TASK_ID runs one of them; the first line is number 0. --table shows all runs, finished or
not, and writes WORKDIR/sweep.csv and WORKDIR/sweep.html; for that, and to go on with --run, --workdir alone will do.
WORKDIR may be in a bucket (gs://bucket/sweep).
"""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from lpips_jax.core import cli
from lpips_jax.core.endings import FAILED, TRY_AGAIN
from lpips_jax.training import paths
from lpips_jax.training.sweeping import grids, results, running, sweeps, tables
from lpips_jax.training.sweeping.sweeps import Sweep

config_flags.DEFINE_config_file('config', None, 'Config of all runs: a file of configs/.', lock_config=True)
flags.DEFINE_multi_string('grid', [], 'KEY=VALUE,VALUE: values of a key of the config. May be given several times.')
flags.DEFINE_string('workdir', None, "The sweep's directory, in which each run gets one of its own.")
flags.DEFINE_bool('print', False, 'Prints the commands; the default.')
flags.DEFINE_bool('run', False, 'Runs them one after the other, without those that are finished, then shows the table.')
flags.DEFINE_integer('index', None, 'Runs the one with this number, from 0: for array jobs.')
flags.DEFINE_bool('table', False, 'Shows the runs as a table, and writes it as CSV and as a page.')
flags.DEFINE_string('least', None, 'The evaluated metric whose least value tells the best run.')
flags.DEFINE_string('greatest', None, 'The evaluated metric whose greatest value does.')

ROOT = Path(__file__).parents[1]


def main() -> None:
  cli.require_flags('workdir')
  workdir, index = flags.FLAGS.workdir, flags.FLAGS.index
  if [flags.FLAGS.print, flags.FLAGS.run, flags.FLAGS.table, index is not None].count(True) > 1:
    cli.fail('--print, --run, --index and --table exclude each other')
  criterion = _criterion()
  sweep = _sweep(workdir)
  names = list(sweep.runs)
  if index is not None and not 0 <= index < len(names):
    cli.fail(f'--index={index}: the runs have numbers from 0 to {len(names) - 1}')
  if flags.FLAGS.table:
    _show(sweep, workdir, criterion)
    return
  sweeps.keep_sweep(sweeps.with_started(sweep, sweeps.to_read(workdir)), workdir)
  if index is not None:
    # In place of this process, so that a scheduler's signals reach it.
    os.execv(sys.executable, [sys.executable, _script(), *sweep.arguments(names[index], workdir)])
  if not flags.FLAGS.run:
    python = sys.executable if shutil.which('python') != sys.executable else 'python'
    for name in names:
      print(shlex.join([python, _script(), *sweep.arguments(name, workdir)]))
    return
  ended = running.run_all(sweep, workdir, [sys.executable, _script()])
  _show(sweep, workdir, criterion)
  failed = [name for name, status in ended.items() if status != TRY_AGAIN]
  if failed:
    print(f'sweep.py: {len(failed)} of {len(names)} runs failed: {", ".join(failed)}', file=sys.stderr)
  if ended:
    sys.exit(FAILED if failed else TRY_AGAIN)


def _sweep(workdir: str) -> Sweep:
  """Returns the sweep of the flags or, if they give none, that of the workdir."""
  if flags.FLAGS.config:
    if not flags.FLAGS.grid:
      cli.fail('missing --grid: give the values that differ between runs, such as --grid=seed=0,1,2')
    given: Any = flags.FLAGS['config']
    listed = [grids.parse_grid(text) for text in flags.FLAGS.grid]

    from lpips_jax.training.sweeping.combinations import make_sweep  # here, as it imports JAX, which tables do without

    return make_sweep(given.config_filename, given.override_values, listed)
  if flags.FLAGS.grid:
    cli.fail('missing --config: see --help')
  stored = sweeps.read_sweep(sweeps.to_read(workdir))
  return stored or cli.fail(f'--workdir={workdir} holds no sweep yet: give --config and --grid')


def _show(sweep: Sweep, workdir: str, criterion: results.Criterion | None) -> None:
  directory = sweeps.to_read(workdir)
  if not sweeps.read_sweep(directory):
    cli.fail(f'--workdir={workdir} holds no sweep yet: there is nothing to show')
  found = results.read_results(sweeps.with_started(sweep, directory), directory, criterion)
  print(tables.text(found))
  print('look at ' + ', '.join(map(str, tables.write(found, workdir))))


def _criterion() -> results.Criterion | None:
  least, greatest = flags.FLAGS.least, flags.FLAGS.greatest
  if least and greatest:
    cli.fail('--least and --greatest exclude each other')
  return results.Criterion(least or greatest, bool(greatest)) if least or greatest else None


def _script() -> str:
  """Returns train.py, as the README names it if this is its directory."""
  return 'train.py' if Path.cwd() == ROOT else str(ROOT / 'train.py')


if __name__ == '__main__':
  cli.run(main, remote=('workdir', 'grid', *paths.FLAGS))
