"""The frozen networks of a run: which are accepted, and which are kept with it."""

import shutil

import pytest
from ml_collections import ConfigDict
from runs import no_data, run, tiny_config

from lpips_jax import pretrained
from lpips_jax.core.constants import SYNC_EXPERT
from lpips_jax.core.errors import UserError
from lpips_jax.training.frozen import KINDS
from lpips_jax.training.loop import train


def test_generator_needs_an_expert(directory, tmp_path):
  config = tiny_config('generator', directory)
  config.sync_expert = ''
  with pytest.raises(UserError, match='needs a trained sync expert'):
    run(config, tmp_path / 'run')


def test_a_generator_is_no_expert_and_is_not_kept(trained_checkpoint, directory, tmp_path):
  config = tiny_config('generator', directory)
  config.sync_expert = str(trained_checkpoint)
  with pytest.raises(UserError, match='holds a generator, not a sync_expert'):
    run(config, tmp_path / 'run')
  assert not (tmp_path / 'run' / 'checkpoint' / 'sync_expert').exists()


def test_networks_that_cannot_be_trained_with_are_one_line(directory, tmp_path):
  folded = shutil.copytree(directory / 'sync_expert' / 'checkpoint', tmp_path / 'folded')
  config = pretrained.read_config(folded)
  config.folded = True
  (folded / 'config.json').write_text(config.to_json())
  config = tiny_config('generator', directory)
  config.sync_expert = str(folded)
  with pytest.raises(UserError, match='folded has its BatchNorm folded away: train with the checkpoint before folding'):
    train(config, tmp_path / 'run', no_data)


def test_a_memory_holds_lips_as_wide_as_speech():
  check = KINDS[SYNC_EXPERT].check
  expert = ConfigDict({'model': {'name': 'sync_expert', 'audio_widths': (4, 8)}})
  run = ConfigDict({'model': {'memory_slots': 4, 'audio_widths': (4, 16)}})
  with pytest.raises(UserError, match=r'of/expert makes 8 features of lips.* and of speech there are 16'):
    check('of/expert', expert, run)
  check('of/expert', expert, ConfigDict({'model': {'memory_slots': 4, 'audio_widths': (2, 8)}}))
  check('of/expert', expert, ConfigDict({'model': {'memory_slots': 0, 'audio_widths': (4, 16)}}))
