"""The model card in every checkpoint directory: what the weights are, their origin, how good they are, their use."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from lpips_jax.core.constants import AV_EXPERT, FROZEN, LIP_READER
from lpips_jax.core.files import write_whole
from lpips_jax.pretrained.checkpoint_dir import CONFIG_FILE, read_config

FILE = 'MODEL_CARD.md'
BBC_TERMS = 'is licensed by the BBC for research only, to those who sign an agreement; it binds weights trained on it.'
LICENCES = {  # of corpora, by the first part of config.data.name
  'talking_faces': 'The corpus is drawn from random numbers by this project (Apache 2.0) and shows nobody.',
  'lrs2': f'LRS2 {BBC_TERMS}',
  'lrs3': 'LRS3 consists of TED talks under CC BY-NC-ND 4.0; its terms bind weights trained on it.',
  'lrw': f'LRW {BBC_TERMS}',
}
FREE = ('talking_faces',)  # corpora whose terms bind nobody's weights
UNKNOWN_LICENCE = 'Only whoever trained these weights knows what the videos may be used for.'
INTENDED_USE = """\
To give a person in a video a mouth that speaks other words: dubbing, correction, research. Only of people who agreed to
those words, and labelled as synthetic wherever it is shown; see "Consent" in the project's README. Not
for passing a dubbed video off as a recording, and not for deciding whether a video is one."""
USES = {  # by task, of networks that draw nothing
  LIP_READER: 'To teach generators lips that can be read, and to judge them: research. Not for reading the lips of '
  'people who do not know of it.',
  AV_EXPERT: 'To teach generators lips that fit the speech, and to judge them: research. Not for deciding whether a '
  'video is a recording.',
}


def write(
  directory: Path, config: ConfigDict, variables: Any, step: int, metrics: Mapping[str, float] | None, note: str = ''
) -> None:
  """Writes the card of a network.

  Args:
    directory: where `MODEL_CARD.md` is written.
    config: the config of the run.
    variables: the variables of the network.
    step: the number of updates they have seen.
    metrics: the evaluation of this step by name, if there was one.
    note: where the weights come from, if not from training here; replaces the sections on data and recipe.
  """
  write_whole(directory / FILE, card(config, variables, step, metrics, note, frozen_terms(directory)))


def card(
  config: ConfigDict,
  variables: Any,
  step: int,
  metrics: Mapping[str, float] | None,
  note: str = '',
  frozen: Mapping[str, str] | None = None,
) -> str:
  """Returns the text of the card, in Markdown; see `write`, and `frozen_terms` for the last argument."""
  parameters = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
  head = f'# {config.model.name}, {config.task}\n\n{parameters:,} parameters, after {step:,} updates.'
  sections = [head, *([note] if note else [_data(config), _recipe(config)])]
  if metrics:
    rows = '\n'.join(f'| {name} | {value:.4g} |' for name, value in metrics.items())
    sections.append(f'## Evaluation during training\n\n| measure | |\n|---|---:|\n{rows}')
  if frozen:
    sections.append(_frozen(frozen))
  sections.append(f'## Intended use\n\n{USES.get(config.task, INTENDED_USE)}')
  return '\n\n'.join(sections) + '\n'


def binding_terms(config: ConfigDict) -> str:
  """Returns the terms that bind weights of this config, as far as it tells; '' if they are free.

  They are those of its data, unless its `terms` say otherwise, as those of weights from elsewhere may, and of exported
  ones that came without the networks which taught them.
  """
  if config.get('terms'):
    return config.terms
  if config.get('init_from') or 'name' not in config.get('data', {}):  # of weights from elsewhere
    return UNKNOWN_LICENCE
  return ' '.join(terms for corpus, terms in _terms(config).items() if corpus not in FREE)


def frozen_terms(directory: Path) -> dict[str, str]:
  """Returns the terms of the frozen networks in a checkpoint directory by their names there; '' of those that are free.

  Raises:
    UserError: the config of one cannot be read.
  """
  kept = [name for name in FROZEN if (directory / name / CONFIG_FILE).is_file()]
  return {name: terms_of(directory / name) for name in kept}


def terms_of(directory: Path) -> str:
  """Returns the terms that bind the weights in a checkpoint directory; '' if they are free.

  Networks that taught others bind them, too. Raises as `frozen_terms` does.
  """
  own = binding_terms(read_config(directory))
  return ' '.join(dict.fromkeys(filter(None, [own, *frozen_terms(directory).values()])))


def _frozen(terms: Mapping[str, str]) -> str:
  lines = '\n'.join(f'- {name}' + (f': {found}' if found else '') for name, found in terms.items())
  return (
    '## Trained with\n\nThese networks stayed as they were, and copies are kept beside this. Their own cards and terms '
    f'apply as well.\n\n{lines}'
  )


def _terms(config: ConfigDict) -> dict[str, str]:
  """Returns the terms of each corpus."""
  corpora = [re.split('[/:]', part.strip())[0] for part in config.data.name.split(',')]  # of a mixture, each
  return {corpus: LICENCES.get(corpus, UNKNOWN_LICENCE) for corpus in corpora}


def _data(config: ConfigDict) -> str:
  terms = ' '.join(dict.fromkeys(_terms(config).values()))
  return f'## Data\n\n{config.data.name}, split {config.data.split}; evaluated on {config.data.eval_split}. {terms}'


def _recipe(config: ConfigDict) -> str:
  losses = ', '.join(
    f'{name} {value:g}' for name, value in config.losses.items() if isinstance(value, int | float) and value
  )
  base = config.get('init_from')
  origin = f'Fine-tuned from {base}, whose own card applies as well. ' if base else ''
  return (
    f'## Recipe\n\n{origin}{config.steps:,} steps of {config.data.batch_size} examples, seed {config.seed}, '
    f'learning rate {config.optimizer.learning_rate:g}; losses: {losses}. `config.json` beside this has every value; '
    '`train.py` with them reproduces these weights.'
  )
