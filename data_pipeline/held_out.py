"""The clips of a split, each to be read when its turn comes to be scored."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from data_pipeline import corpora
from data_pipeline.input import DAMAGE, Source, whole_clip
from data_pipeline.records import text
from lpips_jax.devices import on_all_devices
from lpips_jax.evaluation import samples, systems
from lpips_jax.evaluation.scoring import Entry, Protocol
from lpips_jax.media import pictures
from lpips_jax.pretrained import Exported, Pretrained


class Choice(NamedTuple):
  """A split of a corpus, or of the embedded one's speakers that no other seed has, or its first clips."""

  dataset: str
  split: str
  seed: int | None
  data_dir: str
  limit: int | None


def protocol(choice: Choice, generators: Mapping[str, Pretrained | Exported], image_size: int) -> Protocol:
  """Generators rebuild clips from masked frames, a reference and speech; see `lpips_jax.evaluation.systems`.

  Args:
    choice: the clips.
    generators: by name; without any, the clips as filmed are what is judged.
    image_size: of the crops that are judged, in pixels.

  Where all clips are of one speaker, the controls with another are left out.

  Raises:
    UserError: there is no such split.
  """
  if choice.seed is None:
    source, split = corpora.source(choice.dataset, choice.split, choice.data_dir), choice.split
  else:
    source, split = corpora.fresh_test_source(choice.dataset, choice.seed, choice.data_dir), 'test'
  names, speakers = _names_and_speakers(source, choice.limit)
  alone = len(set(speakers)) < 2
  generators = {name: on_all_devices(generator) for name, generator in generators.items()}
  entries = _entries(source, names, None if alone else speakers, generators, image_size)
  described = {'dataset': choice.dataset, 'split': split, 'seed': choice.seed}

  def write_samples(output: Path) -> dict[str, str]:
    if not generators:
      return {}
    chosen, shown = samples.speakers_shown(speakers), [*generators, systems.FILMED]
    clips = [whole_clip(source[number], image_size) for number in chosen]
    pictures.write_png(output / samples.PICTURE, pictures.grid(samples.picture_rows(clips, chosen, generators)))
    samples.write_beside(output / samples.VIDEO, entries[0].read(), shown, clips[0].audio)
    return samples.captions(['masked', 'reference', *shown], shown)

  # As many as there are, another speaker is found at another place.
  rests_on = described | {'clips': len(names)}
  rows = {
    row: [rests_on, row, None if name is None else generators[name].fingerprint]
    for row, name in systems.names(generators, alone).items()
  }
  return Protocol(entries, rows, described | {'speakers': len(set(speakers))}, write_samples)


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


def _entries(
  source: Source, names: Sequence[str], speakers: Sequence[str] | None, generators: Mapping, image_size: int
) -> list[Entry]:
  """Of clips of one speaker alone `speakers` is None."""
  rows = tuple(systems.names(generators, alone=speakers is None))

  def read(index: int, other: int | None) -> dict[str, systems.Make]:
    clip = whole_clip(source[index], image_size)
    return systems.takes_of(clip, None if other is None else whole_clip(source[other], image_size), generators)

  others = [systems.other_speaker(i, speakers) if generators and speakers else None for i in range(len(names))]
  return [Entry(name, rows, partial(read, i, others[i])) for i, name in enumerate(names)]
