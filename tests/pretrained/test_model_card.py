"""Every checkpoint has a card with its data, recipe, terms and evaluation."""

import jax
from networks import random_network
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


def test_networks_that_taught_one_are_named_with_their_terms(tmp_path):
  network = random_network('reading')
  pretrained.save(tmp_path, network)
  for name in 'lip_reader', 'av_expert':
    teacher = random_network(name)
    teacher.config.data.name = 'lrs3' if name == 'lip_reader' else 'talking_faces'
    pretrained.save(tmp_path / name, teacher)
  model_card.write(tmp_path, network.config, network.variables, 3, None)
  card = (tmp_path / model_card.FILE).read_text()
  assert f'- lip_reader: {model_card.LICENCES["lrs3"]}\n- av_expert\n' in card
  assert model_card.terms_of(tmp_path) == model_card.LICENCES['lrs3']


def test_a_reader_is_for_no_dubbing():
  network = random_network('lip_reader')
  card = model_card.card(network.config, network.variables, 3, None)
  assert '# lip_reader, lip_reader' in card and 'Not for reading the lips of people' in card
  assert 'talking_faces/tiny' in card and 'losses: ctc 1, frames 1.' in card
