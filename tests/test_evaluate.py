"""evaluate.py itself, from a checkpoint to the table and the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from videos import face_frames, write_mp4

from lpips_jax.storage import stores, transfer

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_checkpoint_is_scored_and_bad_flags_are_one_line(trained_checkpoint, directory, tmp_path):
  command = [sys.executable, ROOT / 'evaluate.py', f'--checkpoint={trained_checkpoint}', f'--output={tmp_path}']
  command += ['--dataset=talking_faces/tiny', '--seed=5', f'--data_dir={directory / "data"}', '--leakage']
  result = subprocess.run(command, capture_output=True, text=True)
  assert result.returncode == 0, result.stderr
  metrics = json.loads((tmp_path / 'metrics.json').read_text())
  assert metrics['seed'] == 5 and metrics['clips'] == 2
  assert 0 <= metrics['expert_accuracy'] <= 1
  for measure in ('lower_half_psnr', 'lower_half_ssim', 'mouth_correlation', 'sync_confidence', 'perceptual'):
    assert np.isfinite([metrics[measure], metrics[f'{measure}_other_audio']]).all()
  assert metrics['systems']['generated']['measures']['lower_half_psnr']['clips'] == 2
  assert 'syncnet' in metrics['missing']['lse_d']
  assert np.isfinite([metrics[f'lower_half_psnr_{row}'] for row in ('cross_audio', 'silent')]).all()
  of_references = metrics['leakage']['generated']
  assert list(of_references) == ['current', 'elsewhere', 'rest'] and list(metrics['leakage']['oracle']) == ['current']
  assert of_references['rest']['leak_silent']['mean'] == metrics['leak_silent']  # what a generator usually is shown
  assert of_references['current']['sync_confidence_s'] != of_references['rest']['sync_confidence_s']
  for name in ('metrics.md', 'page.html'):
    assert 'confidence discrepancy' in (tmp_path / name).read_text()
  for name in ('samples.png', 'samples.mp4', 'page.html', 'metrics.md'):
    assert (tmp_path / name).stat().st_size > 0

  (tmp_path / 'program').mkdir()
  (tmp_path / 'program' / 'model.stablehlo').write_bytes(b'a program')
  for arguments, problem in {
    (f'--checkpoint={trained_checkpoint}', '--dataset=lrs2', '--seed=5'): 'only talking_faces can',
    (f'--checkpoint={trained_checkpoint}', '--dataset=talking_faces/tiny:1,folder:3'): 'score its corpora one by one',
    (f'--checkpoint={tmp_path / "program"}', '--dataset=talking_faces/tiny'): 'add --trust_stablehlo',
    (f'--checkpoint={trained_checkpoint}', '--leakage', '--pairs=.', '--root=.'): 'give --dataset',
    (f'--checkpoint=../x={trained_checkpoint}', '--dataset=talking_faces/tiny'): 'is no name',
    (f'--checkpoint=a={trained_checkpoint}', '--videos=a=.', '--pairs=.', '--root=.'): 'is the name of a --checkpoint',
  }.items():
    bad = [*command[:2], *arguments, f'--output={tmp_path / "no"}']
    result = subprocess.run(bad, capture_output=True, text=True)
    assert result.returncode == 2 and problem in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (tmp_path / 'no').exists()


@pytest.mark.slow
def test_every_file_may_be_in_a_bucket(trained_checkpoint, gs_bucket, tmp_path):
  """Ready videos and their truth, or pairs, are scored as on this machine; another machine scores nothing anew."""
  films, url = tmp_path / 'films', gs_bucket.url
  for number in range(2):
    write_mp4(films / 'who' / f'{number}.mp4', *face_frames(number, 1.2))
  (films / 'pairs.txt').write_text('who/0 who/1\nwho/1 who/0\n')
  transfer.upload(films, f'{url}/films')
  transfer.upload(trained_checkpoint, f'{url}/run/checkpoint')
  small = ['--max_clips=2', '--detector=cascade']

  def scores(name, *arguments, machine='one'):
    environment = os.environ | gs_bucket.for_copies(tmp_path / machine)
    command = [sys.executable, ROOT / 'evaluate.py', *small, *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    read = Path.read_text if isinstance(name, Path) else lambda path: stores.read(path).decode()
    join = (lambda file: name / file) if isinstance(name, Path) else (lambda file: f'{name}/{file}')
    return json.loads(read(join('metrics.json'))), read(join('clips.jsonl'))

  def of_videos(root, checkpoint, output):
    given = f'--videos=a={root}/who', f'--truth={root}/who', f'--sync_expert={checkpoint}/sync_expert'
    return *given, '--perceptual=random', f'--output={output}'

  local, _ = scores(tmp_path / 'local', *of_videos(films, trained_checkpoint, tmp_path / 'local'))
  flags = of_videos(f'{url}/films', f'{url}/run/checkpoint', f'{url}/scores')
  remote, lines = scores(f'{url}/scores', *flags)
  assert remote['systems'] == local['systems'] and remote['videos'] == {'a': f'{url}/films/who'}
  assert scores(f'{url}/scores', *flags, machine='another') == (remote, lines)

  def of_pairs(root, checkpoint, output):
    return f'--pairs={root}/pairs.txt', f'--root={root}', f'--checkpoint=ours={checkpoint}', f'--output={output}'

  local, _ = scores(tmp_path / 'dubbed', *of_pairs(films, trained_checkpoint, tmp_path / 'dubbed'))
  remote, _ = scores(f'{url}/dubbed', *of_pairs(f'{url}/films', f'{url}/run', f'{url}/dubbed'))
  assert remote['systems'] == local['systems']
  for path in (tmp_path / 'dubbed' / 'videos').rglob('*.mp4'):
    assert stores.read(f'{url}/dubbed/{path.relative_to(tmp_path / "dubbed")}') == path.read_bytes()
