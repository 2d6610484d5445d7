"""Several corpora as one: which there are, by which weights, and how their examples follow each other."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import grain
import numpy as np

from data_pipeline import corpora
from lpips_jax.core.errors import UserError

Source = Sequence[dict[str, Any]]


class Part(NamedTuple):
  """A corpus of a mixture.

  Attributes:
    name: as `corpora.source` takes it.
    weight: how many of its examples there are beside those of the others.
  """

  name: str
  weight: float = 1.0


def parts_of(name: str) -> list[Part]:
  """Reads `config.data.name`: 'lrs2', or a mixture, 'talking_faces/quickstart:1,folder:3'; a weight left out is 1.

  The version of a corpus, as TFDS writes it, is no weight: 'lrs2:1.0.0', 'lrs2:1.0.0:3'.

  Raises:
    UserError: a name is missing, or a weight is no number above 0.
  """
  return [_part(text.strip(), name) for text in name.split(',')]


def open_parts(name: str, split: str, data_dir: str) -> tuple[list[Source], list[float]]:
  """Opens a split of each corpus of `config.data.name`; returns their records, and their weights.

  Raises:
    UserError: as `parts_of` and `corpora.source` do.
  """
  parts = parts_of(name)
  return [corpora.source(part.name, split, data_dir) for part in parts], [part.weight for part in parts]


def mixed(datasets: Sequence[grain.MapDataset], weights: Sequence[float]) -> grain.MapDataset:
  """Returns endless datasets as one, in which each has its share in any stretch; one alone stays as it is.

  An element's place decides of which dataset it is: as with one, whoever knows the place can go on there.
  """
  return grain.MapDataset.mix(datasets, weights) if len(datasets) > 1 else datasets[0]


def seed_of(seed: int, number: int) -> int:
  """The seed of the corpus of this number: the first has that of the run, others of equal length another order."""
  return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed


def counts(weights: Sequence[float], total: int, lengths: Sequence[int]) -> list[int]:
  """Shares a number of clips out by weight: at least one of each corpus, and no more than it has."""
  shares = [max(1, round(total * weight / sum(weights))) for weight in weights]
  return [min(share, length) for share, length in zip(shares, lengths, strict=True)]


def _part(text: str, whole: str) -> Part:
  name, colon, weight = text.rpartition(':')
  if not colon or weight.count('.') > 1:  # a version
    name, weight = text, '1'
  try:
    value = float(weight)
  except ValueError:
    value = math.nan
  if not (0 < value < math.inf):
    raise UserError(f'config.data.name={whole}: {weight!r} is no weight: give a number above 0 after the colon')
  if not name:
    raise UserError(f'config.data.name={whole}: {text!r} names no corpus: write NAME:WEIGHT,NAME:WEIGHT')
  return Part(name, value)
