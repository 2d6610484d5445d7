"""Grain: corpus -> windows -> batches, the same whatever the number of workers or processes."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import grain
import numpy as np
from absl import logging
from google.protobuf.message import DecodeError
from ml_collections import ConfigDict

from data_pipeline import mixtures
from data_pipeline.audio_augment import AudioAugmentation
from data_pipeline.batches import Batches
from data_pipeline.image_augment import Augmentation
from data_pipeline.misaligned import Misaligned
from data_pipeline.mixtures import Source
from data_pipeline.records import decode_frames, text
from data_pipeline.windows import ExpertWindows, GeneratorWindows, last_start
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import Clip

EVAL_SEED = 0
DAMAGED_IN_A_ROW = 8  # records; more are no accident
DAMAGE = ValueError, KeyError, IndexError, RuntimeError, DecodeError  # what reading and decoding raise


def train_batches(config: ConfigDict, process: int = 0, count: int = 1) -> Batches:
  """Endless, shuffled batches of this process's share, whose place can be saved and restored.

  Args:
    config: a training config; of its `data`, `batch_size` is the global number of windows (generator) or clips (sync
      expert), `windows` how many windows of each clip, `workers` the number of processes that decode (0 decodes in
      threads of this one), and `augment` says how examples may change.
    process: index of this process among all.
    count: how many there are; together they read what one alone would.

  Returns:
    An iterator of dicts of arrays with leading dimension batch_size / count: see `data_pipeline.windows`; and for each
    clip its `id`, in UTF-8, and `skipped`, how many damaged records it stands in for.

  Raises:
    UserError: the corpus is not there, the batch does not divide among the processes, or there is too little shared
      memory for the workers.
  """
  clips = _clips_of_a_share(config, count)
  window = _window(config, **config.data.augment)
  singles = mixed_examples(*_training_sources(config), config.seed, window, process, count)
  bytes_a_clip = sum(array.nbytes for array in singles[0].values()) if config.data.workers else 0
  # Batched before the workers: batches are the same for any number of them.
  return Batches(batched(singles, clips), config.data.workers, clips * bytes_a_clip)


def eval_batches(config: ConfigDict, process: int = 0, count: int = 1) -> list[dict[str, np.ndarray]]:
  """The same `eval_batches` batches of the evaluation split at every call, few enough to keep in memory.

  Arguments and errors as for `train_batches`.
  """
  clips = _clips_of_a_share(config, count)
  dataset = batched(mixed_examples(*_eval_sources(config), EVAL_SEED, _window(config), process, count), clips)
  batches = [dataset[i] for i in range(config.data.eval_batches)]
  return [{name: array for name, array in batch.items() if name not in ('id', 'skipped')} for batch in batches]


def clips_to_watch(config: ConfigDict) -> list[Clip]:
  """The clips that evaluations look at: some of those an expert is trained on, or one that a generator is not.

  Of a mixture there are some of each corpus: of the one with the greatest weight first. Damaged records are left out,
  and others take their place.

  Raises:
    UserError: there is none that is not damaged.
  """
  expert = config.task == 'sync_expert'
  sources, weights = _training_sources(config) if expert else _eval_sources(config)
  numbers = mixtures.counts(weights, config.diagnosis_clips if expert else 1, [len(source) for source in sources])
  clips = []
  for k in sorted(range(len(sources)), key=lambda k: -weights[k]):
    chosen = np.random.default_rng(EVAL_SEED).choice(len(sources[k]), numbers[k], replace=False)
    order = [*chosen, *np.setdiff1d(range(len(sources[k])), chosen)]
    clips += itertools.islice(_intact_clips(sources[k], order, config.model.image_size), numbers[k])
  if not clips:
    raise UserError(f'all records of {config.data.name} are damaged: build the corpus again')
  return clips


def examples(
  source: Source, seed: int, window: grain.transforms.RandomMap, process: int = 0, count: int = 1
) -> grain.MapDataset:
  """One process's share of the examples of a corpus: every record once an epoch, epochs without end.

  Sharded after the shuffle: what all processes read together depends on the seed alone.
  """
  return mixed_examples([source], [1.0], seed, window, process, count)


def mixed_examples(
  sources: Sequence[Source],
  weights: Sequence[float],
  seed: int,
  window: grain.transforms.RandomMap,
  process: int = 0,
  count: int = 1,
) -> grain.MapDataset:
  """The same of several corpora, each of which has its own epochs, and of the examples a share by its weight."""
  datasets = []
  for k, source in enumerate(sources):
    numbers = grain.MapDataset.range(len(source)).seed(mixtures.seed_of(seed, k)).shuffle().repeat()
    datasets.append(numbers.random_map(ExampleOf(source, window)))
  return mixtures.mixed(datasets, weights)[process::count]


def batched(dataset: grain.MapDataset, clips: int) -> grain.MapDataset:
  """Lays the examples of so many clips one after the other."""
  return dataset.batch(clips, drop_remainder=True, batch_fn=_joined)


@dataclasses.dataclass(frozen=True)
class ExampleOf(grain.transforms.RandomMap):
  """Makes an example of the record of a number; a damaged record is named, and a random other one takes its place.

  Attributes:
    source: the records.
    window: makes an example of a record: see `data_pipeline.windows`.
  """

  source: Source
  window: grain.transforms.RandomMap

  def random_map(self, number: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the window's arrays and `skipped`, how many damaged records came first.

    Raises:
      UserError: one damaged record came after the other.
    """
    for skipped in range(DAMAGED_IN_A_ROW):
      try:
        return self.window.random_map(self.source[number], rng) | {'skipped': np.array([skipped])}
      except DAMAGE as error:
        problem = error
        _leave_out(number, self.source, error)
      number = int(rng.integers(len(self.source)))
    raise UserError(f'{DAMAGED_IN_A_ROW} records in a row are damaged ({problem}): build the corpus again')


def whole_clips(source: Sequence[dict[str, Any]], image_size: int, limit: int | None = None) -> list[Clip]:
  """Decodes the records of a split, or its first ones, into clips to score, with crops of the size asked for."""
  return [whole_clip(source[i], image_size) for i in range(min(len(source), limit or len(source)))]


def whole_clip(record: dict[str, Any], image_size: int) -> Clip:
  """Decodes a record."""
  return Clip(
    name=text(record['id']),
    speaker=text(record['speaker']),
    frames=decode_frames(record['frames'], range(len(record['frames'])), image_size),
    mel=record['mel'],
    phones=record['phones'],
    audio=record['audio'],
    mouth_opening=record.get('mouth_opening'),
  )


def _intact_clips(source: Source, order: Iterable[int], image_size: int) -> Iterator[Clip]:
  for number in order:
    try:
      record = source[int(number)]
      last_start(record)
      yield whole_clip(record, image_size)
    except DAMAGE as error:
      _leave_out(number, source, error)


def _leave_out(number: int, source: Source, error: Exception) -> None:
  logging.log_first_n(logging.WARNING, 'record %d of %r is left out: %s', 20, number, source, error)


def _joined(clips: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
  # In C order: Grain would pickle others through a pipe, in place of memory that it shares, and a worker with one half
  # written does not end for 25 s, or leaves us waiting when it is killed.
  return {name: np.ascontiguousarray(np.concatenate([clip[name] for clip in clips])) for name in clips[0]}


def _training_sources(config: ConfigDict) -> tuple[list[Source], list[float]]:
  sources, weights = mixtures.open_parts(config.data.name, config.data.split, config.data.data_dir)
  if config.data.get('shifted'):
    sources = [Misaligned(source, config.data.shifted) for source in sources]
  return sources, weights


def _eval_sources(config: ConfigDict) -> tuple[list[Source], list[float]]:
  return mixtures.open_parts(config.data.name, config.data.eval_split, config.data.data_dir)


def _clips_of_a_share(config: ConfigDict, processes: int) -> int:
  """Raises UserError unless each process's share of a batch is all windows of so many clips."""
  windows = 1 if config.task == 'sync_expert' else config.data.windows
  clips, rest = divmod(config.data.batch_size, windows)
  if rest:
    raise UserError(f'config.data.batch_size={config.data.batch_size} is no multiple of {windows} windows')
  if clips % processes:
    raise UserError(f'config.data.batch_size={config.data.batch_size} does not divide among {processes} processes')
  return clips // processes


def _window(
  config: ConfigDict, silence: float = 0.0, misheard: float = 0.0, voice: float = 0.0, **augmentation: float
) -> grain.transforms.RandomMap:
  size, windows, change = config.model.image_size, config.data.windows, Augmentation(**augmentation)
  voices = AudioAugmentation(voice)
  speech = config.model.get('speech', 'mel')
  if config.task == 'sync_expert':
    return ExpertWindows(size, windows, config.minimum_offset, change, voices, speech, misheard)
  reference = config.data.reference
  return GeneratorWindows(size, config.data.lead, windows, change, silence, speech, misheard, reference, voices)
