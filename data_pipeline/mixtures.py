"""Mixtures: several corpora as one, each with a weight that sets its share of the examples."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import grain
import numpy as np

from data_pipeline import corpora
from data_pipeline.corpora import EVERYTHING, Access
from data_pipeline.records import RecordSource
from lpips_jax.core.errors import UserError


class MixturePart(NamedTuple):
  """A corpus of a mixture.

  Attributes:
    name: of the corpus, for `corpora.source`.
    weight: its share of the examples, relative to the weights of the others.
  """

  name: str
  weight: float = 1.0


def parse_mixture(name: str) -> list[MixturePart]:
  """Parses `config.data.name`: 'lrs2', or a mixture, 'talking_faces/quickstart:1,folder:3'; the default weight is 1.

  A version of a corpus, as TFDS writes it, is not a weight: 'lrs2:1.0.0', 'lrs2:1.0.0:3'.

  Raises:
    UserError: a name is missing, or a weight is not a number above 0.
  """
  return [_part(text.strip(), name) for text in name.split(',')]


def open_mixture(
  name: str, split: str, data_dir: str, access: Access = EVERYTHING
) -> tuple[list[RecordSource], list[float]]:
  """Opens a split of each corpus in `config.data.name`, and returns their records and their weights.

  Raises:
    UserError: as `parse_mixture` and `corpora.source` do.
  """
  parts = parse_mixture(name)
  return [corpora.source(part.name, split, data_dir, access) for part in parts], [part.weight for part in parts]


def mix(datasets: Sequence[grain.MapDataset], weights: Sequence[float]) -> grain.MapDataset:
  """Interleaves endless datasets, each with its share of any stretch; a single one stays as it is.

  The position of an element decides its dataset: as with a single one, reading can continue at any position.
  """
  return grain.MapDataset.mix(datasets, weights) if len(datasets) > 1 else datasets[0]


def corpus_seed(seed: int, number: int) -> int:
  """Returns the seed of a corpus: the run's for the first, others for the rest, so that no two are shuffled alike."""
  return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed


def part_seed(seed: int, number: int, parts: int) -> int:
  """Returns the seed of a process that reads a part of the files: no two draw alike, nor like a corpus of a mixture."""
  return int(np.random.SeedSequence([seed, number, parts]).generate_state(1)[0])


def clips_per_corpus(weights: Sequence[float], total: int, lengths: Sequence[int]) -> list[int]:
  """Divides `total` clips among corpora by weight: at least one of each corpus, and no more than it has."""
  shares = [max(1, round(total * weight / sum(weights))) for weight in weights]
  return [min(share, length) for share, length in zip(shares, lengths, strict=True)]


def _part(text: str, whole: str) -> MixturePart:
  name, colon, weight = text.rpartition(':')
  if not colon or weight.count('.') > 1:  # a version
    name, weight = text, '1'
  try:
    value = float(weight)
  except ValueError:
    value = math.nan
  if not (0 < value < math.inf):
    raise UserError(f'config.data.name={whole}: {weight!r} is not a weight: give a number above 0 after the colon')
  if not name:
    raise UserError(f'config.data.name={whole}: {text!r} names no corpus: write NAME:WEIGHT,NAME:WEIGHT')
  return MixturePart(name, value)
