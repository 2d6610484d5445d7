"""infer.py as a user meets it when something is wrong: one line on stderr, status 2, and nothing left behind."""

import os
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lpips_jax.core.jax_environment import share_accelerators
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import write_video

ROOT = Path(__file__).parents[1]


def infer(directory, **options):
  arguments = {'face': 'face.mp4', 'audio': 'speech.wav', 'output': 'out/dubbed.mp4', 'checkpoint': 'none'} | options
  command = [sys.executable, ROOT / 'infer.py', *(f'--{key}={value}' for key, value in arguments.items())]
  environment = os.environ | {'PYTHONPATH': str(ROOT)}
  return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def directory(tmp_path):
  (tmp_path / 'out').mkdir()
  (tmp_path / 'none').mkdir()
  with write_video(tmp_path / 'face.mp4', VideoInfo(64, 48, Fraction(25))) as write:
    for _ in range(10):
      write(np.full((48, 64, 3), 100, np.uint8))
  for name, samples in (('speech.wav', 8000), ('silent.wav', 0)):
    with wave.open(str(tmp_path / name), 'wb') as file:
      file.setparams((1, 2, 16000, 0, 'NONE', ''))
      file.writeframes(bytes(2 * samples))
  with wave.open(str(tmp_path / 'many.wav'), 'wb') as file:
    file.setparams((12, 2, 16000, 0, 'NONE', ''))
    file.writeframes(bytes(24 * 8000))
  (tmp_path / 'empty.mp4').touch()
  (tmp_path / 'text.mp4').write_text('this is no video\n' * 40)
  (tmp_path / 'cut.mp4').write_bytes((tmp_path / 'face.mp4').read_bytes()[:300])
  return tmp_path


def test_bad_input_is_one_line(directory):
  cases = {
    'gone.mp4 does not exist': {'face': 'gone.mp4'},
    'empty.mp4 is empty': {'face': 'empty.mp4'},
    'text.mp4 is not a media file': {'face': 'text.mp4'},
    'cut.mp4': {'face': 'cut.mp4'},
    'speech.wav has no picture': {'face': 'speech.wav'},
    'gone.wav does not exist': {'audio': 'gone.wav'},
    'without samples': {'audio': 'silent.wav'},
    'no sound track': {'audio': 'face.mp4'},
    'none is not a checkpoint directory': {},
    'gone does not exist': {'checkpoint': 'gone'},
    'output directory nowhere does not exist': {'output': 'nowhere/dubbed.mp4'},
    'output directory speech.wav does not exist': {'output': 'speech.wav/dubbed.mp4'},
    'must end in': {'output': 'out/dubbed.gif'},
    'File name too long': {'face': 'x' * 300},
    '12 channels': {'audio': 'many.wav'},
    'four whole numbers': {'pads': '1,2,x,4'},
    'should be one of': {'length': 'long'},
  }
  with ThreadPoolExecutor(2) as pool:
    results = list(pool.map(lambda options: infer(directory, **({'detector': 'cascade'} | options)), cases.values()))
  for problem, result in zip(cases, results, strict=True):
    assert result.returncode == 2, (problem, result.stderr)
    assert result.stderr.startswith('infer.py: ') and problem in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
  assert list((directory / 'out').iterdir()) == []


def test_help_names_the_flags(directory):
  result = subprocess.run([sys.executable, ROOT / 'infer.py', '--help'], capture_output=True, text=True)
  assert result.returncode == 0 and result.stderr == ''
  for flag in ('face', 'audio', 'output', 'checkpoint', 'detector', 'boxes', 'pads', 'length', 'jobs', 'batch_size'):
    assert f'--{flag}:' in result.stdout


SCRIPT = """
import os
import sys
import infer
from lpips_jax.core import cli, errors
from lpips_jax.dubbing.stages import StageTimes

class Dubber:
  fingerprint, frames, all_seconds = '', 13, 2.0

  def __init__(self, *_):
    self.all_times = {}

  def dub(self, face, audio, output, options):
    self.all_times['encode'] = self.all_times.get('encode', StageTimes()) + StageTimes(13, 1.0, 1.0)
    if output == 'bad.mp4':
      raise errors.UserError('bad')
    print('made', output)

infer.Dubber = Dubber
cli.run(infer.main)
"""


def test_several_processes_and_a_profile(directory):
  """One dub is done once under srun; of a list, too, the profile is printed, whatever becomes of it."""
  (directory / 'jobs.csv').write_text('face,audio,output\nface.mp4,speech.wav,a.mp4\nface.mp4,speech.wav,bad.mp4\n')
  one = ['--face=face.mp4', '--audio=speech.wav', '--output=one.mp4']

  def run(process, *arguments):
    command = [sys.executable, '-c', SCRIPT, '--checkpoint=none', '--profile', *arguments]
    environment = os.environ | {'PYTHONPATH': str(ROOT), 'SLURM_STEP_NUM_TASKS': '2', 'SLURM_PROCID': str(process)}
    if process is None:
      del environment['SLURM_STEP_NUM_TASKS']
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)

  with ThreadPoolExecutor(3) as pool:
    first, second, listed = pool.map(run, (0, 1, None), *zip(one, one, ['--jobs=jobs.csv'] * 3, strict=True))
  assert 'made one.mp4' in first.stdout and 'encode            13' in first.stdout, first.stderr
  assert second.stdout == 'process 1 of 2 has nothing to do: there is one dub\n' and second.returncode == 0
  assert listed.returncode == 2 and 'encode            26' in listed.stdout, listed.stdout + listed.stderr


def test_processes_that_share_a_gpu_do_not_take_all_of_it(monkeypatch):
  monkeypatch.delenv('XLA_PYTHON_CLIENT_PREALLOCATE', raising=False)
  share_accelerators()
  assert os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] == 'false'
  monkeypatch.setenv('XLA_PYTHON_CLIENT_PREALLOCATE', 'true')
  share_accelerators()
  assert os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] == 'true'
