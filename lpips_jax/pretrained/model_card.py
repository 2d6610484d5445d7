"""The model card that lies in every checkpoint directory: what the weights are, whence, how good, and for what."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from lpips_jax.core.files import write_whole

FILE = 'MODEL_CARD.md'
BBC = 'is licensed by the BBC, for research alone, to those who sign for it; weights made of it are bound by that.'
LICENCES = {  # of corpora, by the first part of config.data.name
  'talking_faces': 'The corpus is drawn from random numbers by this project (Apache 2.0) and shows nobody.',
  'lrs2': f'LRS2 {BBC}',
  'lrs3': 'LRS3 is made of TED talks under CC BY-NC-ND 4.0; its terms bind weights made of it.',
  'lrw': f'LRW {BBC}',
}
UNKNOWN_LICENCE = 'Whoever trained these weights knows what the videos may be used for; nothing is said here.'
USE = """\
To give a person in a video a mouth that speaks other words: dubbing, correction, research. Only of people who agreed to
those words, and labelled as synthetic wherever it is shown; see "Consent, and saying so" in the project's README. Not
for passing a dubbed video off as a recording, and not for deciding whether a video is one."""


def write(
  directory: Path, config: ConfigDict, variables: Any, step: int, metrics: Mapping[str, float] | None, note: str = ''
) -> None:
  """Writes the card of a network.

  Args:
    directory: gets it.
    config: of the run.
    variables: the network's.
    step: how many updates they have seen.
    metrics: what an evaluation of this step found, if there was one.
    note: where the weights are from, if not from training here; it stands in place of data and recipe.
  """
  write_whole(directory / FILE, card(config, variables, step, metrics, note))


def card(config: ConfigDict, variables: Any, step: int, metrics: Mapping[str, float] | None, note: str = '') -> str:
  """The card's text; see `write`."""
  parameters = sum(leaf.size for leaf in jax.tree.leaves(variables['params']))
  head = f'# {config.model.name}, {config.task}\n\n{parameters:,} parameters, after {step:,} updates.'
  sections = [head, *([note] if note else [_data(config), _recipe(config)])]
  if metrics:
    rows = '\n'.join(f'| {name} | {value:.4g} |' for name, value in metrics.items())
    sections.append(f'## Evaluation during training\n\n| measure | |\n|---|---:|\n{rows}')
  sections.append(f'## Intended use\n\n{USE}')
  return '\n\n'.join(sections) + '\n'


def _data(config: ConfigDict) -> str:
  corpora = [re.split('[/:]', part.strip())[0] for part in config.data.name.split(',')]  # of a mixture, each
  terms = ' '.join(dict.fromkeys(LICENCES.get(corpus, UNKNOWN_LICENCE) for corpus in corpora))
  return f'## Data\n\n{config.data.name}, split {config.data.split}; evaluated on {config.data.eval_split}. {terms}'


def _recipe(config: ConfigDict) -> str:
  losses = ', '.join(
    f'{name} {value:g}' for name, value in config.losses.items() if isinstance(value, int | float) and value
  )
  base = config.get('init_from')
  begun = f'Begun from {base}, whose own card counts, too. ' if base else ''
  return (
    f'## Recipe\n\n{begun}{config.steps:,} steps of {config.data.batch_size} examples, seed {config.seed}, '
    f'learning rate {config.optimizer.learning_rate:g}; losses: {losses}. `config.json` beside this has every value; '
    '`train.py` with them makes these weights again.'
  )
