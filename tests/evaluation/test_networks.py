"""The networks of an evaluation: generators with a sync expert, or the reason why there is none."""

import shutil

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.evaluation.networks import DEFAULT_IMAGE_SIZE, load_networks
from lpips_jax.pretrained import SYNC_EXPERT


def test_a_generator_is_scored_by_the_expert_that_it_was_trained_with(trained_checkpoint, directory):
  networks = load_networks({'ours': trained_checkpoint})
  assert list(networks.generators) == ['ours'] and networks.image_size == 32 and networks.step == 2
  assert networks.expert.config.task == 'sync_expert'
  other = load_networks({'ours': trained_checkpoint}, sync_expert=directory / 'sync_expert')
  assert other.expert.fingerprint == networks.expert.fingerprint


def test_a_sync_expert_alone_scores_filmed_clips(directory):
  networks = load_networks({'generated': directory / 'sync_expert'})
  assert networks.generators == {} and networks.expert.config.task == 'sync_expert' and networks.step == 2


def test_a_missing_expert_is_an_error_that_is_kept(trained_checkpoint, tmp_path):
  shutil.copytree(trained_checkpoint, tmp_path / 'alone', ignore=shutil.ignore_patterns(SYNC_EXPERT))
  networks = load_networks({'ours': tmp_path / 'alone'})
  assert isinstance(networks.expert, UserError) and networks.expert.as_flags().endswith('--sync_expert')
  ready = load_networks({})
  assert ready.expert.as_flags() == 'needs --sync_expert'
  assert (ready.image_size, ready.step, ready.generators) == (DEFAULT_IMAGE_SIZE, None, {})


def test_an_expert_among_generators_is_refused(trained_checkpoint, directory):
  with pytest.raises(UserError, match='checkpoint: expert holds a sync_expert, not a generator'):
    load_networks({'ours': trained_checkpoint, 'expert': directory / 'sync_expert'})
