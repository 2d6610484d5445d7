"""The whole of personalise.py: prepared, tuned, killed, resumed, scored and dubbed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from runs import ROOT
from videos import face_frames, write_mp4

from lpips_jax import pretrained
from lpips_jax.media import video_reader
from lpips_jax.personalising import preview, recipe
from lpips_jax.storage import stores, transfer


@pytest.fixture
def me(tmp_path):
  """A video of 21 s: 2.1 s there and back, ten times."""
  frames, samples = face_frames(0, 2.1)
  turns = [frames[:: (-1) ** k] for k in range(10)]
  return write_mp4(tmp_path / 'me.mp4', [frame for turn in turns for frame in turn], np.tile(samples, 10))


@pytest.mark.slow
def test_killed_and_resumed_it_leaves_a_checkpoint_that_dubs(me, trained_checkpoint, tmp_path):
  command = [sys.executable, ROOT / 'personalise.py', f'--video={me}', f'--checkpoint={trained_checkpoint}']
  command += [f'--workdir={tmp_path / "run"}', '--steps=4', '--detector=cascade']
  environment = os.environ | {'JAX_NUM_CPU_DEVICES': '1'}
  first = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
  deadline = time.monotonic() + 120
  saved = tmp_path / 'run' / 'tuning' / 'checkpoint' / '1'
  while not saved.exists() and time.monotonic() < deadline and first.poll() is None:
    time.sleep(0.05)
  first.send_signal(signal.SIGKILL)
  first.communicate()
  second = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
  assert second.returncode == 0, second.stderr
  assert 'going on' in second.stdout and '4 of 4: dubbing' in second.stdout
  assert f'; to dub: python infer.py --face={me}' in second.stdout.splitlines()[-1]
  made, tuned = (pretrained.load(tmp_path / 'run' / name) for name in ('checkpoint', 'tuning/checkpoint'))
  between = recipe.interpolated(pretrained.load(trained_checkpoint), tuned)
  assert made.step == 4 and made.fingerprint == between.fingerprint != tuned.fingerprint
  pretrained.load_expert_of(tmp_path / 'run' / 'checkpoint')
  assert '<video' in (tmp_path / 'run' / 'page.html').read_text()
  assert video_reader.probe(tmp_path / 'run' / 'preview' / 'beside.mp4').width == 3 * preview.FACE_SIZE
  table = (tmp_path / 'run' / 'evaluation' / 'metrics.md').read_text()
  assert '| tuned silent' in table and 'other_audio' not in table


@pytest.mark.slow
def test_another_machine_goes_on_in_a_bucket(me, trained_checkpoint, tmp_path, gs_bucket):
  url = gs_bucket.url
  stores.put(me, f'{url}/me.mp4')
  transfer.upload(trained_checkpoint, f'{url}/base/checkpoint')
  command = [sys.executable, ROOT / 'personalise.py', f'--video={url}/me.mp4', f'--checkpoint={url}/base']
  command += [f'--workdir={url}/run', '--steps=2', '--detector=cascade']
  for machine in 'one', 'another':
    environment = os.environ | {'JAX_NUM_CPU_DEVICES': '1'} | gs_bucket.for_copies(tmp_path / machine)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files = f'--face={url}/me.mp4 --audio=speech.wav --output=dubbed.mp4 --checkpoint={url}/run/checkpoint'
    assert done.stdout.splitlines()[-1].endswith(f'; to dub: python infer.py {files}')
  assert 'an estimate for the rest follows' not in done.stdout  # it was prepared before
  tuned, base = pretrained.load(f'{url}/run/checkpoint'), pretrained.load(trained_checkpoint)
  assert tuned.step == 2 and tuned.fingerprint != base.fingerprint
  assert str(tmp_path) not in stores.read(f'{url}/run/page.html').decode()
