"""The rows of the table, on a checkpoint that has hardly been trained; evaluate.py itself."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from runs import tiny_config
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from data_pipeline import corpora
from data_pipeline import input as data
from lpips_jax import perceptual, pretrained
from lpips_jax.evaluation import Candidate, Clip, samples, systems
from lpips_jax.evaluation.scorers import OF_THE_EXPERT, Scorers
from lpips_jax.models.inputs import lower_half
from lpips_jax.pretrained import batches
from lpips_jax.pretrained.devices import on_all_devices

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def clips(directory):
  return data.whole_clips(corpora.source('talking_faces/tiny', 'test', str(directory / 'data')), 32)


@pytest.fixture(scope='module')
def generator(trained_checkpoint):
  return pretrained.load(trained_checkpoint)


@pytest.fixture(scope='module')
def makers(clips, generator):
  return systems.candidates_of(clips[0], clips[1], {'generated': generator})


@pytest.fixture(scope='module')
def scorers(directory):
  return Scorers(pretrained.load(directory / 'sync_expert'), weights=perceptual.random_weights(0, 1 / 16))


def test_every_system_has_its_scores(makers, scorers, generator):
  scores = {name: scorers.score(make()) for name, make in makers.items()}
  assert list(scores) == list(systems.names({'generated': generator}))
  against_truth = {'lower_half_psnr', 'lower_half_ssim', 'perceptual'}
  for name, of_system in scores.items():
    assert {'sync_confidence', 'sync_distance', 'sync_offset', 'mouth_correlation', 'mouth_motion'} <= set(of_system)
    assert (against_truth <= set(of_system)) == (name not in ('cross_audio', 'silent'))
    assert ('leak' in of_system) == (name not in ('generated', 'copy_reference', 'target'))
    assert (set(OF_THE_EXPERT) <= set(of_system)) == (name == 'target')
  assert scores['target']['lower_half_psnr'] is None and scores['target']['lower_half_ssim'] == pytest.approx(1)
  assert scores['target']['perceptual'] == pytest.approx(0, abs=1e-6)
  assert scores['target']['mouth_correlation'] > 0.7
  assert scores['generated'] != scores['untrained']


def test_controls_are_what_they_say(makers, clips):
  target, other = makers['target'](), makers['other_audio']()
  reference, copied = np.roll(clips[0].frames, len(target.frames) // 2, 0), makers['copy_reference']().frames
  np.testing.assert_array_equal(copied[:, :16], target.frames[:, :16])
  np.testing.assert_array_equal(copied[:, 16:], reference[:, 16:])
  cross = makers['cross_audio']()
  np.testing.assert_array_equal(cross.frames, other.frames[: len(cross.frames)])
  assert other.mel is clips[0].mel and cross.mel is clips[1].mel
  silent = makers['silent']()
  assert silent.mel is clips[0].mel and silent.truth is None
  assert np.abs(lower_half(silent.frames) - lower_half(other.frames)).max() > 0
  np.testing.assert_array_equal(silent.reference, clips[0].frames)  # it was shown a mouth at rest
  assert makers['generated']().reference is None


class Echo:
  """A generator that paints a face as bright as the first thing that it hears of a frame, in thousandths."""

  def __init__(self, lead):
    self.config = ConfigDict({'model': {'image_size': 16, 'speech': 'mel'}, 'data': {'lead': lead, 'level': 'as_is'}})

  def __call__(self, faces, windows):
    return np.broadcast_to(windows[:, :1, None, :1] / 1000, (*faces.shape[:3], 3))


def counting(name, first, frames=12):
  """A clip whose mel says, row by row, first, first + 1, and so on."""
  mel = np.repeat(first + np.arange(4.0 * frames, dtype=np.float32)[:, None], 80, 1)
  return Clip(name, name, RNG.integers(256, size=(frames, 16, 16, 3), dtype=np.uint8), mel)


def heard(candidate):
  """Which row of a mel each frame was made of."""
  return np.rint(1000 * candidate.frames.mean((1, 2, 3))).astype(int).tolist()


@pytest.mark.parametrize('lead', [0, 1.0, 2.0])
def test_speech_comes_as_much_ahead_as_the_generator_was_trained_with(lead):
  own, other = counting('own', 0), counting('other', 500)
  candidates = systems.candidates_of(own, other, {'generated': Echo(lead)})
  rows = [max(0, math.floor((k - lead) * 80 / 25)) for k in range(12)]
  assert heard(candidates['generated']()) == rows
  of_other = [500 + row for row in rows]
  assert heard(candidates['other_audio']()) == heard(candidates['cross_audio']()) == of_other
  assert set(heard(candidates['silent']())) == {-4}  # the least that a mel can be
  shown = samples.picture_rows([own], [1], {'generated': Echo(lead)})
  assert round(1000 * shown[2].mean()) == rows[37 % 12]


def test_images_are_judged_by_their_lower_half():
  frames, truth = (RNG.integers(256, size=(4, 16, 16, 3), dtype=np.uint8) for _ in range(2))
  mixed = np.concatenate([frames[:, :8], truth[:, 8:]], 1)
  candidate = Candidate(frames, np.zeros((16, 80), np.float32), truth=truth)
  same_below, all_other = (Scorers().score(dataclasses.replace(candidate, frames=x)) for x in (mixed, frames))
  assert same_below['lower_half_psnr'] is None and same_below['lower_half_ssim'] == pytest.approx(1)
  pairs = list(zip(truth[:, 8:], frames[:, 8:], strict=True))
  expected = [peak_signal_noise_ratio(*pair) for pair in pairs]
  assert all_other['lower_half_psnr'] == pytest.approx(np.mean(expected))
  expected = [structural_similarity(*pair, channel_axis=-1) for pair in pairs]
  assert all_other['lower_half_ssim'] == pytest.approx(np.mean(expected))


def test_generators_of_other_sizes_are_judged_at_one(clips, generator):
  larger = data.whole_clips(corpora.source('talking_faces/tiny', 'test', generator.config.data.data_dir), 48)
  make = systems.candidates_of(larger[0], larger[1], {'small': generator})['small']
  assert make().frames.shape == (len(larger[0].frames), 48, 48, 3)


def test_rows_of_several_generators():
  assert systems.row_name('wav2lip', 'other_audio') == 'wav2lip other_audio'
  assert systems.row_name('generated', 'silent') == 'silent' and systems.row_name('ours', 'generated') == 'ours'


def test_another_speaker_is_another():
  speakers = ['a', 'a', 'b', 'b', 'a']
  assert all(speakers[systems.other_speaker(i, speakers)] != speakers[i] for i in range(5))
  with pytest.raises(ValueError, match='two speakers'):
    systems.other_speaker(0, ['a', 'a'])


def test_batches_are_filled_and_cut():
  calls = []

  def double(x):
    calls.append(x.shape)
    return 2 * x

  x = np.arange(2 * batches.BATCH + 3.0)
  np.testing.assert_array_equal(batches.in_batches(double, x), 2 * x)
  assert set(calls) == {(batches.BATCH,)}


def test_all_devices_find_what_one_does(generator, clips):
  faces = np.random.default_rng(0).random((60, 32, 32, 6), np.float32)
  mels = np.zeros((60, 80, 16), np.float32)
  spread = on_all_devices(generator)
  alone, together = (batches.in_batches(network, faces, mels) for network in (generator, spread))
  np.testing.assert_allclose(together, alone, atol=1e-5)
  untrained = systems.untrained(generator)
  assert spread.fingerprint == generator.fingerprint != untrained.fingerprint and untrained.step == 0


def test_command(trained_checkpoint, directory, tmp_path):
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


def test_tiny_config_is_the_quickstart_shrunk(directory):
  config = tiny_config('generator', directory)
  assert config.model.attention and config.model.fusion == 'adain'
  assert config.losses.perceptual > 0 and config.losses.sync > 0
