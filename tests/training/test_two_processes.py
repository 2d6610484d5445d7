"""The flow of two processes that train as one: they save, evaluate, resume, are preempted, and fail together."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from pair import PREEMPTED_AT
from runs import ROOT, run, tiny_config

from benchmarks.commands import free_port
from data_pipeline import input as data
from lpips_jax import pretrained

TIMEOUT_SECONDS = 3000  # on a busy machine


def both(*lines: list) -> list[tuple[int, str, str]]:
  """Runs a command in each of two processes that share a coordinator; returns exit statuses, stdout and stderr."""
  coordinator = f'--coordinator=localhost:{free_port()}'
  environment = os.environ | {'PYTHONPATH': f'{ROOT}:{ROOT / "tests"}', 'JAX_NUM_CPU_DEVICES': '1'}
  started = [
    subprocess.Popen(
      [sys.executable, *line, coordinator, '--processes=2', f'--process={k}'],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env=environment,
      start_new_session=True,
    )
    for k, line in enumerate(lines)
  ]
  try:
    printed = [process.communicate(timeout=TIMEOUT_SECONDS) for process in started]
  finally:
    for process in started:
      process.kill()
  return [(process.returncode, *texts) for process, texts in zip(started, printed, strict=True)]


@pytest.mark.slow
def test_two_train_as_one(directory, tmp_path):
  """One test, as its processes take as long to compile as for all the rest."""
  data.train_batches(tiny_config('sync_expert', directory))  # the corpus is there
  line = [ROOT / 'tests' / 'support' / 'pair.py', f'--directory={directory}']
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
  line = [ROOT / 'train.py', f'--config={ROOT / "configs" / "quickstart.py"}', f'--workdir={tmp_path}']
  first, second = both(line, [*line, '--config.nothing=1'])
  assert (first[0], first[2]) == (2, 'train.py: ended, as another process failed: process 1 says why\n')
  assert second[0] == 2 and second[2].startswith('train.py: --config has no key') and second[2].count('\n') == 1
