"""The command that trains a sweep: commands, one run of many, all runs, and the table of them."""

import shlex
import shutil
import subprocess
import sys

import pytest
from runs import ROOT, tiny_config

from lpips_jax.storage import files
from lpips_jax.training.config_schema import flatten
from lpips_jax.training.sweeping.sweeps import Sweep, keep_sweep

CONFIG = f'--config={ROOT / "configs" / "quickstart.py"}:sync_expert'


def sweep(*arguments):
  command = [sys.executable, '-m', 'lpips_jax.sweep', *arguments]
  return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


@pytest.mark.slow
def test_commands_are_printed_one_a_line(tmp_path):
  grids = ['--grid=model.widths=(4, 8),(8,16)', '--grid=seed=0,1']
  config = f'--config={ROOT / "configs" / "lrs2.py"}'
  made = sweep(config, f'--workdir={tmp_path}/a sweep', *grids, '--config.data.name=a:1,b:3')
  assert made.returncode == 0, made.stderr
  lines = [shlex.split(line) for line in made.stdout.splitlines()]
  assert len(lines) == 4 and len({line[3] for line in lines}) == 4
  assert all(line[1] == 'train.py' and (shutil.which(line[0]) == sys.executable) for line in lines)
  assert lines[3][3].startswith(f'--workdir={tmp_path}/a sweep/widths=8-16,seed=1-')
  assert lines[3][4:] == ['--config.data.name=a:1,b:3', '--config.model.widths=(8, 16)', '--config.seed=1']
  again = sweep('--print', f'--workdir={tmp_path}/a sweep')
  assert (again.stdout, again.stderr) == (made.stdout, '')


@pytest.mark.parametrize(
  ('arguments', 'problem'),
  [
    (['--workdir=W', '--grid=seed=1'], 'missing --config: see --help'),
    (['--workdir=W', CONFIG], 'missing --grid: give the values that differ between runs, such as --grid=seed=0,1,2'),
    (['--workdir=W', '--run', '--index=0'], '--print, --run, --index and --table exclude each other'),
    (['--workdir=W', '--table', '--least=a', '--greatest=b'], '--least and --greatest exclude each other'),
    (['--workdir=W', CONFIG, '--grid=seed'], '--grid=seed gives no values: give KEY=VALUE,VALUE'),
    (['--workdir=W', '--table'], '--workdir=W holds no sweep yet: give --config and --grid'),
  ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, problem, tmp_path):
  workdir = str(tmp_path / 'sweep')
  failed = sweep(*(argument.replace('=W', f'={workdir}') for argument in arguments))
  assert (failed.returncode, failed.stdout) == (2, '')
  assert failed.stderr == f'sweep.py: {problem.replace("=W", f"={workdir}")}\n'
  assert not list(tmp_path.iterdir())


def test_index_becomes_that_run(tmp_path):
  """It has a wrong key, which train.py reports."""
  keep_sweep(Sweep(CONFIG.removeprefix('--config='), {}, ('x',), {f'x={x}': {x: '1'} for x in 'ab'}), tmp_path)
  failed = sweep(f'--workdir={tmp_path}', '--index=1')
  assert (failed.returncode, failed.stderr) == (2, "train.py: --config has no key 'b'\n")
  beyond = sweep(f'--workdir={tmp_path}', '--index=2')
  assert (beyond.returncode, beyond.stderr) == (2, 'sweep.py: --index=2: the runs have numbers from 0 to 1\n')


@pytest.mark.slow
def test_a_sweep_in_a_bucket_from_the_first_step_to_the_table(directory, gs_bucket):
  """Both runs train; one of them was begun before, and the same command then finds nothing to do."""
  config = flatten(tiny_config('sync_expert', directory))
  values = [f'--config.{key}={value}' for key, value in config.items() if key not in ('task', 'seed')]
  url = f'{gs_bucket.url}/sweep'
  begun = sweep(CONFIG, f'--workdir={url}', *values, '--grid=seed=1', '--index=0')
  assert begun.returncode == 0, begun.stderr
  made = sweep(CONFIG, f'--workdir={url}', *values, '--grid=seed=0,1', '--config.steps=3', '--run')
  assert made.returncode == 0, made.stderr
  assert 'seed=1 is at step 2 of 3: going on' in made.stdout
  table = made.stdout[made.stdout.index('2 runs, 2 finished. The best first, by the greatest ranking') :]
  assert table.endswith(f'look at {url}/sweep.csv, {url}/sweep.html\n')
  assert files.read(f'{url}/sweep.csv').count(b'finished') == 2
  again = sweep(f'--workdir={url}', '--run')
  assert again.stdout == f'[1/2] seed=1: finished\n[2/2] seed=0: finished\n{table}'
  assert sweep(f'--workdir={url}', '--table').stdout == table
