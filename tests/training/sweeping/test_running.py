"""Runs of a sweep, one after the other: finished ones are skipped, failures reported, signals passed on."""

import os
import signal
import subprocess
import sys
import time

import pytest
from runs import ROOT

from lpips_jax.core.endings import TRY_AGAIN
from lpips_jax.storage import files
from lpips_jax.storage.transfer import LAST_OBJECT
from lpips_jax.training.sweeping import running
from lpips_jax.training.sweeping.sweeps import Sweep

SWEEP = Sweep(
  str(ROOT / 'configs' / 'quickstart.py') + ':sync_expert',
  {'steps': '120'},
  ('seed',),
  {f'seed={seed}': {'seed': str(seed)} for seed in range(3)},
)
TRAINER = (
  'import sys; print(*sys.argv[1:], sep="\\n", file=open("made", "a")); sys.exit([0, 3, 75][int(sys.argv[-1][-1])])'
)


def test_the_last_step_saved(tmp_path):
  assert running.saved_step(tmp_path) == 0
  for name in ('90', '120', '150.damaged', 'sync_expert', '200.orbax-checkpoint-tmp'):
    (tmp_path / 'checkpoint' / name).mkdir(parents=True)
  assert running.saved_step(tmp_path) == 120


def test_finished_runs_are_skipped_and_others_reported(tmp_path, monkeypatch, capfd):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'seed=0' / 'checkpoint' / '120').mkdir(parents=True)
  (tmp_path / 'seed=2' / 'checkpoint' / '119').mkdir(parents=True)
  assert running.run_all(SWEEP, str(tmp_path), [sys.executable, '-c', TRAINER]) == {'seed=1': 3, 'seed=2': TRY_AGAIN}
  made = (tmp_path / 'made').read_text().splitlines()
  assert [line for line in made if 'workdir' in line] == [f'--workdir={tmp_path}/seed={seed}' for seed in (1, 2)]
  assert capfd.readouterr().out.splitlines() == [
    '[1/3] seed=0: finished',
    '[2/3] seed=1',
    '[2/3] seed=1: failed with status 3',
    '[3/3] seed=2',
    '[3/3] seed=2: stopped',
  ]


def test_runs_finished_in_a_bucket_are_skipped(gs_bucket, monkeypatch):
  for step in (60, 120):
    files.write(f'{gs_bucket.url}/seed=0/checkpoint/{step}/{LAST_OBJECT}', '')
  files.write(f'{gs_bucket.url}/seed=1/checkpoint/120/params', '')  # it was being uploaded
  trained = []
  monkeypatch.setattr(running, 'run_one', lambda command: trained.append(command[2]) or 0)
  assert running.run_all(SWEEP, gs_bucket.url, ['train.py']) == {}
  assert trained == [f'--workdir={gs_bucket.url}/seed={seed}' for seed in (1, 2)]


SAVING = """
import pathlib, signal, sys, time
def save(*_):
  pathlib.Path('saved').touch()
  if {stubborn}: time.sleep(60)
  sys.exit(0)
signal.signal(signal.SIGTERM, save)
pathlib.Path('ready').touch()
time.sleep(60)
"""
PARENT = """
import signal, sys
from lpips_jax.training.sweeping.running import run_one
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
  run_one([sys.executable, '-c', sys.argv[1]])
except KeyboardInterrupt:
  sys.exit(7)
"""


@pytest.mark.parametrize('stubborn', [False, True])
def test_a_run_saves_on_ctrl_c_and_is_killed_by_the_second(tmp_path, stubborn):
  def wait_for(name):
    while not (tmp_path / name).exists():
      time.sleep(0.02)

  command = [sys.executable, '-c', PARENT, SAVING.format(stubborn=stubborn)]
  environment = os.environ | {'PYTHONPATH': str(ROOT)}
  with subprocess.Popen(command, cwd=tmp_path, start_new_session=True, env=environment) as parent:
    wait_for('ready')
    os.killpg(parent.pid, signal.SIGINT)  # as terminals do
    wait_for('saved')
    if stubborn:
      os.killpg(parent.pid, signal.SIGINT)
    assert parent.wait(30) == 7


def test_a_run_saves_although_nobody_reads_the_output_any_more(tmp_path):
  command = [sys.executable, '-c', PARENT, SAVING.format(stubborn=False)]
  environment = os.environ | {'PYTHONPATH': str(ROOT)}
  with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, env=environment) as parent:
    while not (tmp_path / 'ready').exists():
      time.sleep(0.02)
    parent.stdout.close()
    parent.send_signal(signal.SIGINT)
    parent.wait(30)
  assert (tmp_path / 'saved').exists()
