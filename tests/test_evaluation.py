"""evaluate.py, and the scores behind it, on a checkpoint that has hardly been trained."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_config

from data_pipeline import corpora
from data_pipeline import input as data
from lpips_jax import evaluation, perceptual, pretrained

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def clips(directory):
  return data.whole_clips(corpora.source('talking_faces/tiny', 'test', str(directory / 'data')), 32)


def test_every_system_has_every_score(trained_checkpoint, clips, directory):
  generator, expert = pretrained.load(trained_checkpoint), pretrained.load(directory / 'sync_expert')
  weights = perceptual.random_weights(0, 1 / 16)
  scores, rows = evaluation.score_generator(generator, expert, clips, weights, progress=False)
  assert set(scores) == {'generated', 'other_audio', 'untrained', 'copy_reference', 'target'}
  assert scores['target']['lower_half_psnr'] is None and scores['target']['lower_half_ssim'] == pytest.approx(1)
  assert scores['target']['perceptual'] == pytest.approx(0, abs=1e-6)
  assert scores['target']['mouth_correlation'] > 0.7
  assert scores['generated'] != scores['untrained']
  speakers = len({clip.speaker for clip in clips})
  assert [row.shape for row in rows] == [(speakers, 32, 32, 3)] * 4
  np.testing.assert_array_equal(rows[0][:, 16:], 0)

  reference = np.roll(clips[0].frames, len(clips[0].frames) // 2, 0)[:, 16:] / 255
  error = ((reference - clips[0].frames[:, 16:] / 255) ** 2).mean((1, 2, 3))
  alone, _ = evaluation.score_generator(generator, expert, [clips[0], clips[1]], None, progress=False)
  assert 'perceptual' not in alone['generated']
  assert min(-10 * np.log10(error)) < alone['copy_reference']['lower_half_psnr'] < max(-10 * np.log10(error)) + 20

  named = evaluation.flat(scores)
  assert named['lower_half_psnr'] == scores['generated']['lower_half_psnr']
  assert named['sync_confidence_other_audio'] == scores['other_audio']['sync_confidence']
  assert len(evaluation.table(scores).splitlines()) == 2 + len(scores)


def test_one_speaker_is_too_few(trained_checkpoint, clips, directory):
  generator, expert = pretrained.load(trained_checkpoint), pretrained.load(directory / 'sync_expert')
  with pytest.raises(ValueError, match='two speakers'):
    evaluation.score_generator(generator, expert, [clips[0], clips[0]], None, progress=False)


def test_batches_are_filled_and_cut():
  calls = []

  def double(x):
    calls.append(x.shape)
    return 2 * x

  x = np.arange(2 * evaluation.BATCH + 3.0)
  np.testing.assert_array_equal(evaluation.in_batches(double, x), 2 * x)
  assert set(calls) == {(evaluation.BATCH,)}


def test_command(trained_checkpoint, directory, tmp_path):
  command = [sys.executable, ROOT / 'evaluate.py', f'--checkpoint={trained_checkpoint}', f'--output={tmp_path}']
  command += ['--dataset=talking_faces/tiny', '--seed=5', f'--data_dir={directory / "data"}']
  result = subprocess.run(command, capture_output=True, text=True)
  assert result.returncode == 0, result.stderr
  metrics = json.loads((tmp_path / 'metrics.json').read_text())
  assert metrics['seed'] == 5 and metrics['clips'] == 2 and metrics['perceptual_source'] == 'random'
  assert 0 <= metrics['expert_accuracy'] <= 1
  for measure in ('lower_half_psnr', 'lower_half_ssim', 'mouth_correlation', 'sync_confidence', 'perceptual'):
    assert np.isfinite([metrics[measure], metrics[f'{measure}_other_audio']]).all()
  assert (tmp_path / 'samples.png').stat().st_size > 0

  bad = subprocess.run([*command[:3], f'--output={tmp_path / "no"}', '--dataset=lrs2', '--seed=5'], capture_output=True)
  assert bad.returncode == 2 and len(bad.stderr.splitlines()) == 1 and not (tmp_path / 'no').exists()


def test_tiny_config_is_the_quickstart_shrunk(directory):
  config = tiny_config('generator', directory)
  assert config.model.attention and config.model.fusion == 'adain'
  assert config.losses.perceptual > 0 and config.losses.sync > 0
