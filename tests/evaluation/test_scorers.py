"""A checkpoint cannot choose the files that LPIPS weights are read from."""

import pytest
from ml_collections import ConfigDict

from lpips_jax.evaluation.scorers import perceptual_source
from lpips_jax.perceptual.weights import PRETRAINED, RANDOM
from lpips_jax.pretrained.checkpoint import Pretrained


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


def test_ready_videos_are_judged_by_released_weights():
  assert perceptual_source(None, []) == {'source': PRETRAINED}
