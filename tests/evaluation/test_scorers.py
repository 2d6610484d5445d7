"""Scorers: what they compare, what they depend on, and the weights of LPIPS, which no checkpoint can choose."""

import dataclasses

import numpy as np
import pytest
from ml_collections import ConfigDict
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lpips_jax import perceptual
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import Candidate
from lpips_jax.evaluation.scorers import Scorers, load_scorers, perceptual_source
from lpips_jax.perceptual.weights import PRETRAINED, RANDOM
from lpips_jax.pretrained.network import Pretrained

RNG = np.random.default_rng(0)


def trained_with(source: str) -> Pretrained:
  return Pretrained(ConfigDict({'perceptual': {'source': source, 'width': 0.5}}), None, {}, 0)


@pytest.mark.parametrize('source', ['/etc', '../weights', 'runs/lpips'])
def test_files_that_a_checkpoint_names_are_not_read(source):
  assert perceptual_source(None, [trained_with(source)]) == {'source': PRETRAINED}


def test_weights_that_are_no_files_are_the_first_checkpoints():
  own = {'source': RANDOM, 'width': 0.5}
  assert perceptual_source(None, [trained_with(RANDOM), trained_with('/etc')]) == own


def test_what_is_asked_for_comes_first():
  assert perceptual_source('mine', [trained_with('/etc')]) == {'source': 'mine'}


def test_ready_videos_are_scored_with_released_weights():
  assert perceptual_source(None, []) == {'source': PRETRAINED}


def test_images_are_scored_by_their_lower_half():
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


def test_scorers_that_are_missing_say_why():
  scorers = load_scorers(
    UserError('needs sync_expert', 'sync_expert'), None, None, {'source': 'random', 'width': 1 / 16}
  )
  assert scorers.expert is None and scorers.lpips_weights is not None and 'perceptual' not in scorers.missing
  for measure in ('sync_confidence', 'expert_accuracy'):
    assert scorers.missing[measure].as_flags() == 'needs --sync_expert'
  assert scorers.missing['lse_d'].as_flags() == 'needs --syncnet, a converted syncnet_v2.model'
  assert scorers.missing['fid'].as_flags() == "needs --inception, pytorch-fid's weights converted"


def test_weights_of_lpips_that_are_not_there_are_missing(tmp_path):
  scorers = load_scorers(UserError('none'), None, None, {'source': str(tmp_path)})
  assert scorers.lpips_weights is None and str(tmp_path) in str(scorers.missing['perceptual'])
  assert load_scorers(UserError('none'), None, None, None).missing.keys() == scorers.missing.keys() - {'perceptual'}


def test_other_weights_have_another_cache_key():
  keys = [Scorers(lpips_weights=perceptual.random_weights(seed, 1 / 16)).cache_key for seed in (0, 0, 1)]
  assert keys[0] == keys[1] != keys[2] and Scorers().cache_key == {}
