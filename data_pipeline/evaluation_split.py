"""Evaluation on a corpus: the clips of a split as work items, each read when it is scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data_pipeline import corpora, mixtures
from data_pipeline.input import DAMAGE_ERRORS, decode_clip
from data_pipeline.records import RecordSource, text
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import leakage, samples, systems
from lpips_jax.evaluation.candidates import MakeCandidate
from lpips_jax.evaluation.protocols import Protocol
from lpips_jax.evaluation.scoring import WorkItem
from lpips_jax.media import pictures
from lpips_jax.pretrained.devices import on_all_devices
from lpips_jax.pretrained.network import Exported, Pretrained


class SplitSelection(NamedTuple):
  """The clips of a corpus on which systems are scored.

  Attributes:
    dataset: name of the corpus, for `corpora.source`.
    split: name of the split; ignored if there is a seed.
    seed: draws a fresh test split of the embedded corpus, whose speakers no other seed has; None scores `split`.
    data_dir: directory of the TFDS datasets.
    limit: number of clips, the first ones; None scores all.
  """

  dataset: str
  split: str
  seed: int | None
  data_dir: str
  limit: int | None


def protocol(
  selection: SplitSelection,
  generators: Mapping[str, Pretrained | Exported],
  image_size: int,
  with_leakage: bool = False,
) -> Protocol:
  """Returns the evaluation of generators that rebuild the clips of a split from masked frames, a reference and speech.

  See `lpips_jax.evaluation.systems` for what they are compared with. Where all clips are of one speaker, the controls
  that need another speaker's speech are left out.

  Args:
    selection: the clips.
    generators: by name; without any, the filmed clips themselves are scored.
    image_size: side of the crops that are scored, in pixels.
    with_leakage: adds the table of `lpips_jax.evaluation.leakage`, in which generators see other references.

  Raises:
    UserError: there is no such split, the corpus is a mixture, or leakage is to be measured on a single speaker.
  """
  if len(mixtures.parse_mixture(selection.dataset)) > 1:
    raise UserError(f'dataset={selection.dataset} is a mixture: score its corpora one by one', 'dataset')
  if selection.seed is None:
    source, split = corpora.source(selection.dataset, selection.split, selection.data_dir), selection.split
  else:
    source, split = corpora.fresh_test_source(selection.dataset, selection.seed, selection.data_dir), 'test'
  names, speakers = _names_and_speakers(source, selection.limit)
  one_speaker = len(set(speakers)) < 2
  if with_leakage and one_speaker:
    raise UserError(
      f'leakage is measured with the speech of another speaker, and all {len(names)} clips are of one', 'leakage'
    )
  generators = {name: on_all_devices(generator) for name, generator in generators.items()}
  truth = corpora.dubbed_truth(selection.dataset)
  leakage_rows = leakage.table_rows(generators, truth is not None) if with_leakage else []
  clips = _SplitClips(source, speakers, generators, image_size, truth, leakage_rows)

  description = {'dataset': selection.dataset, 'split': split, 'seed': selection.seed}
  # The number of clips decides where another speaker is found. Raise `scores` when scores change their meaning.
  shared_key = description | {'clips': len(names), 'scores': 2}

  def cache_key(system: str, generator: str | None) -> list:
    return [shared_key, system, generators[generator].fingerprint if generator in generators else None]

  listed = systems.names(generators, one_speaker, truth is not None)
  table = {system: cache_key(system, name) for system, name in listed.items()}
  leakage_systems = {row.system(setup): row.dubber for row in leakage_rows for setup in systems.SETUPS}
  leakage_only = {system: cache_key(system, name) for system, name in leakage_systems.items() if system not in table}
  items = [WorkItem(name, (*table, *leakage_only), partial(clips.read, i)) for i, name in enumerate(names)]
  description |= {'speakers': len(set(speakers))}
  return Protocol(items, table, description, clips.write_samples, leakage_rows, leakage_only)


def _names_and_speakers(source: RecordSource, limit: int | None) -> tuple[list[str], list[str]]:
  """Reads the ids and speakers of the first records; a damaged one gets a made-up id and no speaker."""
  names, speakers = [], []
  for i in tqdm(range(min(len(source), limit or len(source))), 'reading', unit='clip', leave=False, disable=None):
    try:
      record = source[i]
      names.append(text(record['id']))
      speakers.append(text(record['speaker']))
    except DAMAGE_ERRORS:  # reported when the clip is to be scored
      names.append(f'record {i}')
      speakers.append('')
  return names, speakers


@dataclass(frozen=True)
class _SplitClips:
  """The clips of a split, and the candidates that systems make of them.

  Attributes:
    source: the records.
    speakers: of each record.
    generators: by name.
    image_size: side of the crops, in pixels.
    truth: renders the true frames of foreign speech, if the corpus can: see `corpora.dubbed_truth`.
    leakage_rows: the rows of the leakage table, if it is wanted.
  """

  source: RecordSource
  speakers: Sequence[str]
  generators: Mapping[str, Pretrained | Exported]
  image_size: int
  truth: Callable[..., np.ndarray] | None
  leakage_rows: Sequence[leakage.LeakageRow]

  def read(self, index: int) -> dict[str, MakeCandidate]:
    """Reads a clip, and one of another speaker if there is any; returns what makes the candidates, by system."""
    record = self.source[index]
    clip = decode_clip(record, self.image_size)
    if self.truth is not None:
      clip = replace(clip, dubbed_truth=cache(partial(self.truth, record, image_size=self.image_size)))
    if not self.generators or len(set(self.speakers)) < 2:
      return systems.candidates_of(clip, None, self.generators)
    other = decode_clip(self.source[systems.other_speaker(index, self.speakers)], self.image_size)
    make_dubs = leakage.make_dubs_of(self.generators)
    of_leakage = leakage.candidates_of(clip, other, self.leakage_rows, make_dubs)
    return of_leakage | systems.candidates_of(clip, other, self.generators)

  def write_samples(self, output: Path) -> dict[str, str]:
    """Writes a picture of several speakers and a video of the first clip; returns their captions, by file name."""
    if not self.generators:
      return {}
    chosen, shown = samples.speakers_shown(self.speakers), [*self.generators, systems.FILMED]
    clips = [decode_clip(self.source[number], self.image_size) for number in chosen]
    rows = samples.picture_rows(clips, chosen, self.generators)
    pictures.write_png(output / samples.PICTURE, pictures.grid(rows))
    samples.write_side_by_side(output / samples.VIDEO, self.read(0), shown, clips[0].audio)
    return samples.captions(['masked', 'reference', *shown], shown)
