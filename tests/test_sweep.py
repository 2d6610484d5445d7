"""The command that trains a sweep: commands, one run of many, all runs, and the table of them."""

import shlex
import shutil
import subprocess
import sys

import pytest
from runs import ROOT, tiny_config

from lpips_jax.training.config_schema import flatten

CONFIG = f'--config={ROOT / "configs" / "quickstart.py"}:sync_expert'


def sweep(*arguments):
  command = [sys.executable, '-m', 'lpips_jax.sweep', *arguments]
  return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


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
  beyond = sweep('--index=4', f'--workdir={tmp_path}/a sweep')
  assert (beyond.returncode, beyond.stderr) == (2, 'sweep.py: --index=4: the runs have numbers from 0 to 3\n')


@pytest.mark.parametrize(
  ('arguments', 'problem'),
  [
    ([], 'missing --workdir: see --help'),
    (['--workdir=W'], '--workdir=W holds no sweep yet: give --config and --grid'),
    (['--workdir=W', '--grid=seed=1'], 'missing --config: see --help'),
    (['--workdir=W', CONFIG], 'missing --grid: give the values that differ between runs, such as --grid=seed=0,1,2'),
    (['--workdir=W', '--run', '--index=0'], '--print, --run, --index and --table exclude each other'),
    (['--workdir=W', '--table', '--least=a', '--greatest=b'], '--least and --greatest exclude each other'),
    (['--workdir=W', CONFIG, '--grid=seed'], '--grid=seed gives no values: give KEY=VALUE,VALUE'),
    (['--workdir=W', CONFIG, '--grid=seed=0,1', '--table'], '--workdir=W is not there: nothing was trained yet'),
    (
      ['--workdir=gs://bucket/sweep', CONFIG, '--grid=seed=0,1', '--table'],
      '--workdir=gs://bucket/sweep: a table needs the logs on this machine, copy them and give their directory',
    ),
  ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, problem, tmp_path):
  workdir = str(tmp_path / 'sweep')
  failed = sweep(*(argument.replace('=W', f'={workdir}') for argument in arguments))
  assert (failed.returncode, failed.stdout) == (2, '')
  assert failed.stderr == f'sweep.py: {problem.replace("=W", f"={workdir}")}\n'
  assert not list(tmp_path.iterdir())


def test_index_becomes_that_run(tmp_path):
  """Its corpus is not there, which train.py reports."""
  config = f'--config={ROOT / "configs" / "lrs2_sync_expert.py"}'
  failed = sweep(config, f'--workdir={tmp_path}', '--grid=seed=0,1', '--index=1', f'--config.data.data_dir={tmp_path}')
  assert failed.returncode == 2 and failed.stderr.startswith("train.py: no corpus 'lrs2'")
  assert not (tmp_path / 'seed=0').exists() and (tmp_path / 'sweep.json').is_file()


@pytest.mark.slow
def test_a_sweep_from_the_first_step_to_the_table(directory, tmp_path):
  """Both runs train; one of them was begun before, and the same command then finds nothing to do."""
  config = tiny_config('sync_expert', directory)
  config.steps = 3
  given = [key for key in flatten(config) if key not in ('seed', 'task', 'optimizer.learning_rate')]
  values = [f'--config.{key}={flatten(config)[key]}' for key in given]
  arguments = [CONFIG, f'--workdir={tmp_path}', '--grid=optimizer.learning_rate=1e-3', *values]
  begun = sweep(*arguments, '--grid=seed=1', '--index=0', '--config.steps=2')
  assert begun.returncode == 0, begun.stderr
  made = sweep(*arguments, '--grid=seed=0,1', '--run')
  assert made.returncode == 0, made.stderr
  assert 'learning_rate=0.001,seed=1 is at step 2 of 3: going on' in made.stdout
  assert '2 runs, 2 finished. The best first, by the greatest ranking' in made.stdout
  assert {path.name for path in tmp_path.glob('sweep*')} == {
    *('sweep.json', 'sweep.csv', 'sweep.html', 'sweep_seeds.csv')
  }
  again = sweep(*arguments, '--grid=seed=0,1', '--run')
  assert again.stdout.startswith(
    '[1/2] learning_rate=0.001,seed=0: finished\n[2/2] learning_rate=0.001,seed=1: finished\n'
  )
  assert 'compiling' not in again.stdout
