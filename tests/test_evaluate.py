"""evaluate.py itself, from a checkpoint to the table and the page."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from runs import tiny_config
from videos import face_frames, write_mp4

from lpips_jax import models, pretrained
from lpips_jax.models.initialise import init_variables
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


@pytest.fixture(scope='module')
def judges(directory, tmp_path_factory):
  """Untrained lip readers, and an untrained audio-visual expert, by name."""
  made = tmp_path_factory.mktemp('judges')
  reader = tiny_config('lip_reader', directory)
  lips = {key: value for key, value in reader.model.items() if key != 'alphabet'}
  expert = ConfigDict({'task': 'av_expert', 'model': lips | {'name': 'av_hubert'}})
  alphabets = ('first', reader, 'sounds'), ('second', reader, 'sounds'), ('letters', reader, 'characters')
  for seed, (name, config, alphabet) in enumerate([*alphabets, ('listener', expert, None)]):
    config = ConfigDict(config.to_dict())
    config.model.update({} if alphabet is None else {'alphabet': alphabet})
    model = models.build(config.model)
    weights = init_variables(model, config.model, seed)
    pretrained.save(made / name, pretrained.Pretrained(config, model, weights, 1))
  return made


@pytest.mark.slow
def test_lips_are_read_and_listened_to(trained_checkpoint, directory, judges, tmp_path):
  taught = tmp_path / 'taught'
  shutil.copytree(trained_checkpoint, taught)
  shutil.copytree(judges / 'first', taught / 'lip_reader')

  def evaluated(name, *arguments):
    command = [sys.executable, ROOT / 'evaluate.py', '--dataset=talking_faces/tiny', f'--data_dir={directory / "data"}']
    command += ['--seed=5', f'--output={tmp_path / name}', *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads((tmp_path / name / 'metrics.json').read_text())

  readers = ','.join(f'{name}={judges / name}' for name in ('first', 'second', 'letters'))
  metrics = evaluated('all', f'--checkpoint={taught}', f'--lip_reader={readers}', f'--av_expert={judges / "listener"}')
  for row in ('generated', 'other_audio', 'cross_audio', 'silent', 'copy_reference', 'oracle', 'target'):
    measured = metrics['systems'][row]['measures']
    assert {'phoneme_error_by_first', 'viseme_error_by_second', 'avs_u', 'avs_m', 'avs_v'} <= measured.keys(), row
  assert metrics['avs_v_oracle'] == pytest.approx(1, abs=1e-5) and 0 <= metrics['av_ranking'] <= 1
  assert metrics['missing']['word_error_by_letters'].startswith('no clip has a transcript')
  assert len(metrics['remarks']) == 1 and 'lip reader first that judges it' in metrics['remarks'][0]
  for name in ('metrics.md', 'page.html'):
    assert metrics['remarks'][0] in (tmp_path / 'all' / name).read_text()

  alone = evaluated('alone', f'--checkpoint={judges / "second"}')
  assert list(alone['systems']) == ['target'] and alone['step'] == 1
  assert alone['phoneme_error_target'] == metrics['phoneme_error_by_second_target']


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
