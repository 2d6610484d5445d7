"""infer.py as a user meets it: bad input is one line on stderr that names flags, and leaves nothing behind."""

import json
import os
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from networks import random_network
from painter import write_boxes

from lpips_jax import pretrained
from lpips_jax.core.jax_environment import share_accelerators
from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import write_video
from lpips_jax.storage import stores, transfer

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {'PYTHONPATH': str(ROOT)}


FILES = {'face': 'face.mp4', 'audio': 'speech.wav', 'output': 'out/dubbed.mp4', 'checkpoint': 'none'}
# Runs infer.py once for each list of flags, in processes forked from one that has imported it.
FORKED = """
import json
import os
import sys

import infer
from lpips_jax.core import cli

runs = []
for number, flags in enumerate(json.loads(sys.argv[1])):
  runs.append(os.fork())
  if not runs[-1]:
    os.dup2(os.open(f'{number}.err', os.O_CREAT | os.O_WRONLY), 2)
    sys.argv = ['infer.py', *flags]
    cli.run(infer.main, remote=infer.REMOTE)
    sys.exit(0)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(run, 0)[1]) for run in runs]))
"""


def run_infer(directory, cases):
  """Runs infer.py with each of the cases in place of some of `FILES`; returns exit statuses and lines of stderr."""
  flags = [[f'--{name}={value}' for name, value in (FILES | case).items() if value is not None] for case in cases]
  command = [sys.executable, '-c', FORKED, json.dumps(flags)]
  result = subprocess.run(command, cwd=directory, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
  assert result.returncode == 0, result.stderr
  statuses = json.loads(result.stdout.splitlines()[-1])
  return [(status, (directory / f'{k}.err').read_text().splitlines()) for k, status in enumerate(statuses)]


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
    '--pads must be four whole numbers': {'pads': '1,2,x,4'},
    '--sharpen must be from 0 to 4': {'sharpen': 9},
    '--boxes, --face_index, --face_at, --all_faces, --speaker and --turns each say whom to dub': {
      'face_index': 0,
      'all_faces': True,
    },
    '--batch_size must be from 1 to 4096': {'batch_size': 0},
    'should be one of': {'length': 'long'},
    'the video ends before 9 s, where --face_at looks for a face': {'face_at': '1,2,9'},
    '64 x 48 pixels large': {'max_pixels': 100},
    '--only must be two numbers of seconds': {'only': '3,1'},
    '--audio and --text each say what is said': {'text': 'Good morning.'},
    'the turns gone.json cannot be read': {'audio': None, 'turns': 'gone.json'},
    '--voice goes with --text or --text_file, not with --audio': {'voice': 'espeak'},
    '--c2pa_cert and --c2pa_key belong together': {'c2pa_key': 'key.pem'},
    '--c2pa_key=gs://bucket/key.pem must be on this machine': {'c2pa_key': 'gs://bucket/key.pem'},
    '--voice=s3:/voice.onnx must be on this machine': {'voice': 's3:/voice.onnx'},
    'gs:/bucket/face.mp4 is no URL of a bucket: write gs://BUCKET/PATH': {'face': 'gs:/bucket/face.mp4'},
    'of URLs, gs:// and s3:// are known here': {'output': 'https://example.org/dubbed.mp4'},
  }
  runs = run_infer(directory, [{'detector': 'cascade'} | case for case in cases.values()])
  for problem, (status, lines) in zip(cases, runs, strict=True):
    assert status == 2, (problem, lines)
    assert len(lines) == 1 and lines[0].startswith('infer.py: ') and problem in lines[0], (problem, lines)
  assert list((directory / 'out').iterdir()) == []


def test_a_file_that_is_missing_is_one_line(directory):
  command = [sys.executable, ROOT / 'infer.py', *(f'--{name}={value}' for name, value in FILES.items()), '--face=gone']
  result = subprocess.run(command, cwd=directory, env=ENVIRONMENT, capture_output=True, text=True)
  assert (result.returncode, result.stderr) == (2, 'infer.py: gone does not exist\n')


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
  """Under srun one dub is made once; the profile is printed for a list, too, even if a job fails."""
  (directory / 'jobs.csv').write_text('face,audio,output\nface.mp4,speech.wav,a.mp4\nface.mp4,speech.wav,bad.mp4\n')
  one = ['--face=face.mp4', '--audio=speech.wav', '--output=one.mp4']

  def run(process, *arguments):
    command = [sys.executable, '-c', SCRIPT, '--checkpoint=none', '--profile', *arguments]
    environment = ENVIRONMENT | {'SLURM_STEP_NUM_TASKS': '2', 'SLURM_PROCID': str(process)}
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


@pytest.mark.slow
def test_every_file_may_be_in_a_bucket(directory, gs_bucket):
  """A checkpoint, a film, a text, boxes; the dub, its boxes and subtitles: the same bytes as on this machine."""
  url = gs_bucket.url
  (directory / 'text.txt').write_text('Good morning.')
  write_boxes(directory / 'boxes.json', 10)
  pretrained.save(directory / 'checkpoint', random_network('generator'))
  transfer.upload(directory / 'checkpoint', f'{url}/run/checkpoint')
  for name in ('face.mp4', 'text.txt', 'boxes.json'):
    stores.put(directory / name, f'{url}/{name}')

  def command(root, checkpoint):
    names = {'face': 'face.mp4', 'text_file': 'text.txt', 'boxes': 'boxes.json', 'output': 'out.mp4'}
    names |= {'subtitles': 'out.srt', 'save_boxes': 'saved.json', 'preview': 'preview.mp4'}
    flags = [f'--{name}={root}{file}' for name, file in names.items()]
    line = [sys.executable, ROOT / 'infer.py', f'--checkpoint={checkpoint}', *flags]
    return subprocess.run(line, cwd=directory, env=ENVIRONMENT | gs_bucket.environment, capture_output=True, text=True)

  local, remote = command('', 'checkpoint'), command(f'{url}/', f'{url}/run')
  assert local.returncode == 0, local.stderr
  assert (remote.returncode, remote.stdout.splitlines()[-1]) == (0, f'wrote {url}/out.mp4'), remote.stderr
  for name in ('out.mp4', 'out.srt', 'saved.json', 'preview.mp4'):
    assert stores.read(f'{url}/{name}') == (directory / name).read_bytes(), name
