"""The flow of two processes that train as one: they save, evaluate, resume, are preempted, fail, and start again."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from pair import PREEMPTED_AT
from runs import ROOT, run, tiny_config

from benchmarks.commands import free_port
from data_pipeline import input as data
from lpips_jax import pretrained
from lpips_jax.training import multihost

TIMEOUT_SECONDS = 3000  # on a busy machine
PAIR = [sys.executable, ROOT / 'tests' / 'support' / 'pair.py']
UNTIL_DONE = ROOT / 'tools' / 'until_done.sh'
STEPS = 10
SILENT_SECONDS = 6


def both(*lines: list) -> list[tuple[int, str, str]]:
  """Runs a command in each of two processes that share a coordinator; returns exit statuses, stdout and stderr."""
  with started(*lines) as processes:
    printed = [process.communicate(timeout=TIMEOUT_SECONDS) for process in processes]
  return [(process.returncode, *texts) for process, texts in zip(processes, printed, strict=True)]


@contextlib.contextmanager
def started(*lines: list, devices: int = 1):
  """Two processes that share a coordinator, each a group of its own."""
  coordinator = f'--coordinator=localhost:{free_port()}'
  environment = os.environ | {'PYTHONPATH': f'{ROOT}:{ROOT / "tests"}', 'JAX_NUM_CPU_DEVICES': str(devices)}
  processes = [
    subprocess.Popen(
      [*line, coordinator, '--processes=2', f'--process={k}'],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env=environment,
      start_new_session=True,
    )
    for k, line in enumerate(lines)
  ]
  try:
    yield processes
  finally:
    for process in processes:
      with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
      process.communicate()


@pytest.mark.slow
def test_two_train_as_one(directory, tmp_path):
  """One test, as its processes take as long to compile as for all the rest."""
  data.train_batches(tiny_config('sync_expert', directory))  # the corpus is there
  line = [*PAIR, f'--directory={directory}']
  ends, workdir = both(line, line), directory / 'run'
  they_save_and_go_on_and_are_preempted_together(ends, workdir)
  what_they_evaluate_is_what_one_process_does(workdir, directory, tmp_path)
  one_process_goes_on_with_what_two_have_saved(workdir, directory)
  when_one_fails_both_end_and_say_so_in_a_line_each(ends)


def they_save_and_go_on_and_are_preempted_together(ends, workdir):
  steps = [[int(line.split()[1]) for line in out.splitlines() if line.startswith('reached')] for _, out, _ in ends]
  assert steps[0] == steps[1], ends
  assert steps[0][:2] == [2, 4] and PREEMPTED_AT <= steps[0][2] < 1000
  assert pretrained.load(workdir / 'checkpoint' / str(steps[0][2])).step == steps[0][2]


def what_they_evaluate_is_what_one_process_does(workdir, directory, tmp_path):
  config = tiny_config('sync_expert', directory)
  config.data.batch_size = 4
  run(config, tmp_path / 'alone')
  ours, theirs = (evaluated(path / 'metrics.jsonl') for path in (tmp_path / 'alone', workdir))
  assert theirs.keys() == ours.keys()
  for name in ('loss', 'bce', 'contrastive'):
    np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-3)


def evaluated(log):
  """The evaluation of step 2."""
  lines = [json.loads(line) for line in log.read_text().splitlines()]
  return next(line for line in lines if line['kind'] == 'eval' and line['step'] == 2)


def one_process_goes_on_with_what_two_have_saved(workdir, directory):
  config = tiny_config('sync_expert', directory)
  config.data.batch_size = 4
  reached = pretrained.load(max((workdir / 'checkpoint').glob('[0-9]*'), key=lambda path: int(path.name))).step
  config.update(steps=reached + 1, checkpoint_every=1000, eval_every=1000)
  state = run(config, workdir)
  assert int(state.step) == reached + 1
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.average))


def when_one_fails_both_end_and_say_so_in_a_line_each(ends):
  # JAX's C++ may have reported the SIGTERM before.
  lines = [(status, [line for line in err.splitlines() if line.startswith('pair.py')]) for status, _, err in ends]
  assert lines == [
    (2, ['pair.py: the first process has failed']),
    (2, ['pair.py: ended, as another process failed: process 0 says why']),
  ]


def test_one_that_fails_before_it_has_joined_tells_the_other(tmp_path):
  line = [sys.executable, ROOT / 'train.py', f'--config={ROOT / "configs" / "quickstart.py"}', f'--workdir={tmp_path}']
  first, second = both(line, [*line, '--config.nothing=1'])
  assert (first[0], first[2]) == (2, 'train.py: ended, as another process failed: process 1 says why\n')
  assert second[0] == 2 and second[2].startswith('train.py: --config has no key') and second[2].count('\n') == 1


@pytest.mark.slow
def test_processes_that_disappear_are_named_and_the_run_goes_on_bit_for_bit(directory):
  """Compares a run that nothing disturbs before step 10 with one whose processes are killed one after the other."""
  data.train_batches(tiny_config('sync_expert', directory))  # the corpus is there
  line = [*PAIR, f'--directory={directory}', f'--silent={SILENT_SECONDS}']
  when_one_is_stopped_for_long_both_end(line, directory)
  killed_ones_start_again([UNTIL_DONE, *line, '--run=killed', f'--steps={STEPS}', '--every=5'], directory)
  ours, theirs = (state_of(directory, run) for run in ('killed', 'stopped'))
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    np.testing.assert_array_equal(a, b)


def when_one_is_stopped_for_long_both_end(line, directory):
  line = [*line, '--run=stopped', '--steps=1000', f'--every={STEPS}']
  # Before, C++ that holds the lock of the interpreter and clocks that differ disturb nobody.
  with started([*line, f'--hold={SILENT_SECONDS / 2}'], [*line, '--skew=3600'], devices=4) as processes:
    wait_for_step(directory / 'stopped' / 'metrics.jsonl', STEPS + 1, processes)
    processes[1].send_signal(signal.SIGSTOP)
    first = processes[0].communicate(timeout=TIMEOUT_SECONDS)[1]
    processes[1].send_signal(signal.SIGCONT)
    second = processes[1].communicate(timeout=TIMEOUT_SECONDS)[1]
  assert [process.returncode for process in processes] == [75, 75]
  assert reasons(first) == [f'process 1 has not answered for {SILENT_SECONDS} s']
  assert re.fullmatch(r'process 1 stood still for \d+ s|process 0 has ended without a word', *reasons(second))


def killed_ones_start_again(line, directory):
  with started(line, line, devices=4) as processes:
    for step, victim in (2, 0), (7, 1):
      wait_for_step(directory / 'killed' / 'metrics.jsonl', step, processes)
      commands = [int(subprocess.check_output(['pgrep', '-P', str(process.pid)])) for process in processes]
      os.kill(commands[victim], signal.SIGKILL)
      began = time.monotonic()
      wait_for_end(commands[1 - victim])
      assert time.monotonic() - began < 60
    first, second = (process.communicate(timeout=TIMEOUT_SECONDS)[1] for process in processes)
  assert [process.returncode for process in processes] == [0, 0]
  assert reasons(first) == ['process 1 has ended without a word']
  assert reasons(second) == ['process 0 has ended without a word']


def reasons(text: str) -> list[str]:
  """The reasons of all ends; any line that is not of pair.py, until_done.sh or the shell counts as well."""
  lines = [line for line in text.splitlines() if line.strip() not in ('', 'Killed') and 'again' not in line]
  ours = re.compile(rf'pair.py: ended, as (process \d)(?: on \S+)?(.*): {multihost.GOES_ON}')
  return [ours.sub(r'\1\2', line) for line in lines]


def wait_for_step(log, step, processes):
  while not log.exists() or f'"step": {step},' not in log.read_text():
    assert all(process.poll() is None for process in processes)
    time.sleep(0.05)


def wait_for_end(pid):
  with contextlib.suppress(ProcessLookupError):
    while True:
      os.kill(pid, 0)
      time.sleep(0.05)


def state_of(directory, run_name):
  """The state that a run of two processes has saved last."""
  config = tiny_config('sync_expert', directory)
  config.data.batch_size = 8
  config.update(steps=STEPS, eval_every=1000, checkpoint_every=STEPS)
  return run(config, directory / run_name)


def until_done(*command: str) -> subprocess.CompletedProcess:
  return subprocess.run([UNTIL_DONE, *command], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)


def test_until_done_runs_a_command_again_until_it_succeeds(tmp_path):
  result = until_done('sh', '-c', f'echo x >> {tmp_path}/runs; [ $(wc -l < {tmp_path}/runs) = 2 ] || exit 75')
  assert result.returncode == 0
  assert (tmp_path / 'runs').read_text() == 'x\nx\n'
  assert result.stderr == 'until_done.sh: the command ended with status 75; running it again in 1 s\n'


@pytest.mark.parametrize('status', [0, 2, 126, 127, 130])
def test_until_done_ends_when_another_run_would_not_help(status):
  result = until_done('sh', '-c', f'exit {status}')
  assert (result.returncode, result.stderr) == (status, '')


def test_until_done_needs_a_command():
  result = until_done()
  assert result.returncode == 2 and result.stderr.startswith('until_done.sh: give a command')


@pytest.mark.parametrize(
  ('number', 'received', 'status'),
  [(signal.SIGTERM, 'TERM', 75), (signal.SIGHUP, 'HUP', 75), (signal.SIGINT, 'TERM', 130)],
)
def test_until_done_passes_signals_on_and_ends_after_the_command(number, received, status):
  script = f'trap "echo saved; exit 75" {received}; echo ready; while :; do sleep 0.05; done'
  with subprocess.Popen([UNTIL_DONE, 'sh', '-c', script], stdout=subprocess.PIPE, text=True) as process:
    assert process.stdout.readline() == 'ready\n'
    process.send_signal(number)
    assert process.communicate(timeout=TIMEOUT_SECONDS)[0] == 'saved\n'
  assert process.returncode == status


def test_until_done_ends_while_it_waits():
  with subprocess.Popen([UNTIL_DONE, 'false'], stderr=subprocess.PIPE, text=True) as process:
    assert process.stderr.readline().endswith('again in 1 s\n')
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=TIMEOUT_SECONDS) == 143
