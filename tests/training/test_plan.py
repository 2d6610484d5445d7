"""The command that plans a training step: what it refuses, and a plan for TPUs that are not there."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs import ROOT, tiny_config

from benchmarks.tiny import TINY_OVERRIDES
from lpips_jax.core.constants import FROZEN
from lpips_jax.training.config_schema import flatten

COMPILER = Path(sys.prefix) / 'tpu'  # where `make test` puts libtpu
HAS_COMPILER = COMPILER.is_dir() or importlib.util.find_spec('libtpu') is not None


def plan(*arguments, **environment):
  command = [sys.executable, '-m', 'lpips_jax.training.plan', *arguments]
  return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | environment)


@pytest.mark.parametrize(
  'flag, message',
  [
    ('--output=nowhere/plan.json', 'nowhere/plan.json: there is no such directory'),
    (
      '--config.data.batch_size=3',
      'config.data.batch_size=3 does not divide among 2 devices: give --config.data.batch_size=4 or --batch_per_chip=2',
    ),
    (
      '--config.model.name=other',
      "config.model.name='other': there are sync_expert",
    ),
    ('--seconds_per_step=0', '--seconds_per_step=0.0 must be more than 0, and finite'),
  ],
)
def test_a_step_that_cannot_be_planned_is_one_line(flag, message):
  failed = plan('--config=configs/quickstart.py:sync_expert', flag)
  assert (failed.returncode, failed.stdout, failed.stderr) == (2, '', f'plan.py: {message}\n')


@pytest.mark.slow
@pytest.mark.parametrize(
  'name', ['lip_reader', 'av_expert', 'memory', 'visemes', 'reading', 'av_sync', 'global_speech']
)
def test_every_network_can_be_planned_on_this_machine(name, teachers, tmp_path):
  config = tiny_config(name, teachers)
  keys = [*TINY_OVERRIDES[name], *(key for key in FROZEN if config.get(key))]
  tiny = [f'--config.{key}={flatten(config)[key]}' for key in keys if key not in ('data.name', 'data.batch_size')]
  made = plan(
    f'--config=configs/quickstart.py:{name}', *tiny, '--batch_per_chip=2', f'--output={tmp_path / "plan.json"}'
  )
  assert made.returncode == 0, made.stderr
  figures = json.loads((tmp_path / 'plan.json').read_text())
  assert figures['chips'] == 2 and figures['batch_size'] == 4 and figures['all_reduces'] >= 1
  assert figures['parameters']['trained'] == figures['parameters'][config.task] > 0
  assert {f'frozen {key}' for key in FROZEN if config.get(key)} <= {*figures['parameters']}


def test_a_clip_is_not_divided():
  failed = plan('--config=configs/quickstart.py:reading', '--config.data.windows=2', '--config.data.batch_size=6')
  assert (failed.returncode, failed.stderr) == (
    2,
    'plan.py: config.data.batch_size=6 does not divide among 2 devices, 2 windows of each clip together: give '
    '--config.data.batch_size=8 or --batch_per_chip=4\n',
  )


@pytest.mark.slow
@pytest.mark.skipif(not HAS_COMPILER, reason="no libtpu: pip install -e '.[tpu]'")
def test_a_plan_for_tpus_that_are_not_there(directory, tmp_path):
  """The method with fewer channels, without VGG16 and the adversary."""
  output = tmp_path / 'plan.json'
  tiny = tiny_config('generator', directory)
  values = {
    'sync_expert': tiny.sync_expert,
    'losses.perceptual': 0.0,
    'model.image_size': 32,
    'model.widths': tiny.model.widths,
    'model.audio_widths': tiny.model.audio_widths,
    'model.audio_residuals': tiny.model.audio_residuals,
    'model.blocks': 1,
    'model.bottleneck': 1,
  }
  shrunk = [f'--config.{name}={value}' for name, value in values.items()]
  cheap = ['--batch_per_chip=1', '--level=O0', '--nolargest', f'--output={output}', '--seconds_per_step=0.5']
  made = plan('--config=configs/lrs2.py', '--topology=v5e:4x4', *shrunk, *cheap, PYTHONPATH=str(COMPILER))
  assert made.returncode == 0, made.stderr
  figures = json.loads(output.read_text())
  assert figures['topology'] == 'v5e:4x4' and figures['chips'] == 16 and figures['batch_size'] == 16
  assert figures['all_reduces'] >= 1 and figures['all_reduce_bytes'] >= 4 * figures['parameters']['trained']
  assert figures['large_all_reduces']['number'] <= 4  # of gradients
  assert 0 < figures['peak_bytes_per_chip'] < figures['chip_memory_bytes']
  assert figures['floor']['binds'] in figures['floor']
  assert figures['steps'] == 300_000
  least = figures['floor']['overlapped'] * 300_000 * 16 / 3600
  assert figures['least_chip_hours'] == pytest.approx(least) and figures['chip_hours'] == pytest.approx(2000 / 3)
  assert 'TPU v5 lite' in made.stdout and '666.7 chip-hours' in made.stdout
