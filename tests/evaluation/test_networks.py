"""The networks of an evaluation: generators with their judges, or the reason why there is none."""

import json
import shutil

import pytest

from lpips_jax.core.constants import SYNC_EXPERT
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation.networks import DEFAULT_IMAGE_SIZE, load_networks


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


@pytest.fixture(scope='module')
def judges(directory, tmp_path_factory):
  """A lip reader and an audio-visual expert, as far as their configs say."""
  made = tmp_path_factory.mktemp('judges')
  for task in ('lip_reader', 'av_expert'):
    shutil.copytree(directory / 'sync_expert' / 'checkpoint', made / task)
    config = json.loads((made / task / 'config.json').read_text()) | {'task': task}
    (made / task / 'config.json').write_text(json.dumps(config))
  return made


def test_readers_and_an_audio_visual_expert_come_beside_the_generators(trained_checkpoint, judges, directory):
  readers = {'first': judges / 'lip_reader', 'second': judges / 'lip_reader'}
  networks = load_networks({'ours': trained_checkpoint}, lip_readers=readers, av_expert=judges / 'av_expert')
  assert list(networks.readers) == ['first', 'second'] and networks.av_expert.config.task == 'av_expert'
  assert list(networks.remarks) == [] and list(networks.generators) == ['ours']
  with pytest.raises(UserError, match='holds a sync_expert, not a lip_reader'):
    load_networks({'ours': trained_checkpoint}, lip_readers={'': directory / 'sync_expert'})


@pytest.mark.parametrize('task', ['lip_reader', 'av_expert'])
def test_any_judge_alone_scores_filmed_clips(judges, task):
  networks = load_networks({'generated': judges / task})
  assert networks.generators == {} and isinstance(networks.expert, UserError) and networks.step == 2
  assert list(networks.readers) == ([''] if task == 'lip_reader' else [])
  assert (networks.av_expert is not None) == (task == 'av_expert')


def test_a_reader_alone_may_be_judged_beside_others(judges):
  networks = load_networks({'generated': judges / 'lip_reader'}, lip_readers={'': judges / 'lip_reader'})
  assert list(networks.readers) == ['checkpoint', 'other']


def test_a_judge_that_was_the_teacher_is_told(trained_checkpoint, judges, tmp_path):
  """By its weights, not by its name: a second reader of the same kind is no teacher."""
  taught = tmp_path / 'taught'
  shutil.copytree(trained_checkpoint, taught)
  for task in ('lip_reader', 'av_expert'):
    shutil.copytree(judges / task, taught / task)
  checkpoints = {'ours': trained_checkpoint, 'taught': taught}
  second = tmp_path / 'second'
  shutil.copytree(trained_checkpoint, second)  # other weights
  config = json.loads((second / 'config.json').read_text()) | {'task': 'lip_reader'}
  (second / 'config.json').write_text(json.dumps(config))
  readers = {'first': judges / 'lip_reader', 'second': second}
  networks = load_networks(checkpoints, lip_readers=readers, av_expert=judges / 'av_expert')
  assert [remark.partition(' that judges')[0] for remark in networks.remarks] == [
    'taught was trained with the lip reader first',
    'taught was trained with the audio-visual expert',
  ]
  assert all('flatters' in remark for remark in networks.remarks)
