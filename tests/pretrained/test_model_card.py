"""Every checkpoint has a card with its data, recipe, terms and evaluation."""

import jax
from runs import tiny_config

from lpips_jax import pretrained
from lpips_jax.pretrained import model_card


def test_a_trained_checkpoint_carries_its_card(trained_checkpoint):
  text = (trained_checkpoint / model_card.FILE).read_text()
  network = pretrained.load(trained_checkpoint)
  parameters = sum(x.size for x in jax.tree.leaves(network.variables['params']))
  assert f'{parameters:,} parameters, after 2 updates' in text
  assert 'talking_faces/tiny, split train; evaluated on val.' in text and 'shows nobody' in text
  assert '2 steps of 2 examples, seed 0' in text and 'reconstruction 1,' in text and '| sync |' in text
  assert 'Only of people who agreed' in text


def test_terms_follow_the_corpus_and_the_origin(directory):
  config = tiny_config('sync_expert', directory)
  nothing = {'params': {}}
  config.data.name = 'lrs2'
  assert 'licensed by the BBC' in model_card.card(config, nothing, 1, None)
  config.data.name = 'folder/mine'
  assert model_card.UNKNOWN_LICENCE in model_card.card(config, nothing, 1, None)
  config.data.name = 'lrs2:2,folder/mine:1,talking_faces'
  mixed = model_card.card(config, nothing, 1, None)
  assert 'licensed by the BBC' in mixed and model_card.UNKNOWN_LICENCE in mixed and 'shows nobody' in mixed
  config.init_from = 'runs/base'
  assert 'Fine-tuned from runs/base' in model_card.card(config, nothing, 1, None)
  text = model_card.card(config, nothing, 1, None, 'Found on a street.')
  assert 'Found on a street.' in text and 'Recipe' not in text and 'Evaluation' not in text
