"""The clips of a split, each to be read when its turn comes to be scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data_pipeline import corpora, mixtures
from data_pipeline.input import DAMAGE, Source, whole_clip
from data_pipeline.records import text
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import leakage, samples, systems
from lpips_jax.evaluation.scoring import Protocol, WorkItem
from lpips_jax.media import pictures
from lpips_jax.pretrained.checkpoint import Exported, Pretrained
from lpips_jax.pretrained.devices import on_all_devices


class SplitSelection(NamedTuple):
  """A split of a corpus, or of the embedded one's speakers that no other seed has, or its first clips."""

  dataset: str
  split: str
  seed: int | None
  data_dir: str
  limit: int | None


def protocol(
  choice: SplitSelection, generators: Mapping[str, Pretrained | Exported], image_size: int, with_leakage: bool = False
) -> Protocol:
  """Generators rebuild clips from masked frames, a reference and speech; see `lpips_jax.evaluation.systems`.

  Args:
    choice: the clips.
    generators: by name; without any, the clips as filmed are what is judged.
    image_size: of the crops that are judged, in pixels.
    with_leakage: whether generators are judged by other references, too: see `lpips_jax.evaluation.leakage`.

  Where all clips are of one speaker, the controls with another are left out.

  Raises:
    UserError: there is no such split, the corpus is a mixture, or leakage is asked for of a single speaker.
  """
  if len(mixtures.parts_of(choice.dataset)) > 1:
    raise UserError(f'--dataset={choice.dataset} is a mixture: score its corpora one by one')
  if choice.seed is None:
    source, split = corpora.source(choice.dataset, choice.split, choice.data_dir), choice.split
  else:
    source, split = corpora.fresh_test_source(choice.dataset, choice.seed, choice.data_dir), 'test'
  names, speakers = _names_and_speakers(source, choice.limit)
  alone = len(set(speakers)) < 2
  generators = {name: on_all_devices(generator) for name, generator in generators.items()}
  if with_leakage and alone:
    raise UserError(f'--leakage needs the speech of another speaker, and all {len(names)} clips are of one')
  truth = corpora.dubbed_truth(choice.dataset)
  asked = leakage.table_rows(generators, truth is not None) if with_leakage else []
  read = _reader(source, speakers, generators, image_size, truth, asked)
  described = {'dataset': choice.dataset, 'split': split, 'seed': choice.seed}

  def write_samples(output: Path) -> dict[str, str]:
    if not generators:
      return {}
    chosen, shown = samples.speakers_shown(speakers), [*generators, systems.FILMED]
    clips = [whole_clip(source[number], image_size) for number in chosen]
    pictures.write_png(output / samples.PICTURE, pictures.grid(samples.picture_rows(clips, chosen, generators)))
    samples.write_beside(output / samples.VIDEO, entries[0].read(), shown, clips[0].audio)
    return samples.captions(['masked', 'reference', *shown], shown)

  # As many as there are, another speaker is found at another place. A higher number, when scores come to mean more.
  rests_on = described | {'clips': len(names), 'scores': 2}

  def rests_on_of(row: str, name: str | None) -> list:
    return [rests_on, row, generators[name].fingerprint if name in generators else None]

  rows = {row: rests_on_of(row, name) for row, name in systems.names(generators, alone).items()}
  more = {
    leakage.system_of(row, setup): rests_on_of(leakage.system_of(row, setup), row.name)
    for row in asked
    for setup in systems.SETUPS
  }
  more = {row: said for row, said in more.items() if row not in rows}
  entries = [WorkItem(name, (*rows, *more), partial(read, i)) for i, name in enumerate(names)]
  described |= {'speakers': len(set(speakers))}
  return Protocol(entries, rows, described, write_samples, asked, more)


def _names_and_speakers(source: Source, limit: int | None) -> tuple[list[str], list[str]]:
  names, speakers = [], []
  for i in tqdm(range(min(len(source), limit or len(source))), 'looking', unit='clip', leave=False, disable=None):
    try:
      record = source[i]
      names.append(text(record['id']))
      speakers.append(text(record['speaker']))
    except DAMAGE:  # said again, and noted, when its turn comes
      names.append(f'record {i}')
      speakers.append('')
  return names, speakers


def _reader(
  source: Source,
  speakers: Sequence[str],
  generators: Mapping[str, Pretrained | Exported],
  image_size: int,
  truth: Callable[..., np.ndarray] | None,
  asked: Sequence[leakage.Asked],
) -> Callable[[int], dict[str, systems.MakeCandidate]]:
  """What reads the clip of a number, and that of another speaker."""
  dubbers = leakage.dubbers_of(generators)

  def read(index: int) -> dict[str, systems.MakeCandidate]:
    record = source[index]
    clip = whole_clip(record, image_size)
    if truth is not None:
      clip = replace(clip, dubbed_truth=cache(partial(truth, record, image_size=image_size)))
    if not generators or len(set(speakers)) < 2:
      return systems.candidates_of(clip, None, generators)
    other = whole_clip(source[systems.other_speaker(index, speakers)], image_size)
    return leakage.candidates_of(clip, other, asked, dubbers) | systems.candidates_of(clip, other, generators)

  return read
