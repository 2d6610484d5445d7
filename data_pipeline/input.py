"""The training input: Grain reads records, cuts windows and makes batches.

Batches depend on the seed alone: they are the same for any number of workers and of training processes. Not so with
`config.data.own_shards`: then each training process reads shard files of its own, and their number matters, too.
"""

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
from data_pipeline.clip_windows import ClipWindows
from data_pipeline.corpora import Access
from data_pipeline.image_augment import ImageAugmentation
from data_pipeline.misaligned import Misaligned
from data_pipeline.records import Record, RecordSource, decode_frames, text
from data_pipeline.windows import ExpertWindows, GeneratorWindows, last_start
from lpips_jax import losses
from lpips_jax.audio.condition import window_length
from lpips_jax.core.constants import AV_EXPERT, LIP_READER, SYNC_EXPERT
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import Clip

EVAL_SEED = 0
MAX_DAMAGED_IN_A_ROW = 8  # records; more are no accident
READERS_OF_CLIPS = LIP_READER, AV_EXPERT  # tasks whose examples are whole clips
CLIPS = {'clip_frames': 75, 'max_labels': 64, 'alphabet': 'visemes'}  # keys of `config.data`, and their defaults
DAMAGE_ERRORS = ValueError, KeyError, IndexError, RuntimeError, DecodeError  # raised for records that are damaged


def train_batches(config: ConfigDict, process: int = 0, count: int = 1) -> Batches:
  """Returns this process's share of endless, shuffled batches, an iterator whose position can be saved and restored.

  Args:
    config: a training config. In its `data`, `batch_size` is the global number of windows (generator) or clips (all
      others), `windows` the number of windows of each clip, `clip_frames`, `max_labels` and `alphabet` the shape of
      whole clips, `workers` the number of processes that decode (0 decodes in
      threads of this one), and `augment` the ranges of the augmentations. With `own_shards` each process reads a part
      of the shard files, and resumes with the same number of processes only; `in_place` reads them from a bucket.
    process: index of this process.
    count: number of training processes; together they read what a single one would.

  Returns:
    An iterator over dicts of arrays with leading dimension batch_size / count, from `data_pipeline.windows`, with two
    more for each clip: its `id`, in UTF-8, and `skipped`, the number of damaged records that it replaces.

  Raises:
    UserError: the corpus does not exist, the batch does not divide among the processes, or there is too little shared
      memory for the workers.
  """
  clips = _clips_per_process(config, count)
  window = _window_transform(config, **config.data.augment)
  sources = _training_sources(config, process, count)
  own = bool(config.data.get('own_shards'))
  if own:
    singles = mixed_examples(*sources, mixtures.part_seed(config.seed, process, count), window)
  else:
    singles = mixed_examples(*sources, config.seed, window, process, count)
  bytes_per_clip = sum(array.nbytes for array in singles[0].values()) if config.data.workers else 0
  # Batched before it is split among workers, so that batches are the same for any number of them.
  arguments = batched(singles, clips), config.data.workers, clips * bytes_per_clip
  return _OwnBatches(*arguments, count) if own else Batches(*arguments)


def eval_batches(config: ConfigDict, process: int = 0, count: int = 1) -> list[dict[str, np.ndarray]]:
  """Returns `config.data.eval_batches` batches of the evaluation split, few enough to keep in memory.

  They are the same at every call, and not augmented. Arguments and errors are those of `train_batches`.
  """
  clips = _clips_per_process(config, count)
  dataset = batched(mixed_examples(*_eval_sources(config), EVAL_SEED, _window_transform(config), process, count), clips)
  batches = [dataset[i] for i in range(config.data.eval_batches)]
  return [{name: array for name, array in batch.items() if name not in ('id', 'skipped')} for batch in batches]


def clips_to_watch(config: ConfigDict, process: int = 0, count: int = 1) -> list[Clip]:
  """Returns the clips that are monitored in training; only those of the first process are looked at.

  For a sync expert these are `config.diagnosis_clips` of its training split, for all others one of the evaluation
  split. A mixture gives some of each corpus, beginning with the one of the greatest weight. Damaged records are
  replaced by others.

  Raises:
    UserError: all records are damaged.
  """
  expert = config.task == SYNC_EXPERT
  sources, weights = _training_sources(config, process, count) if expert else _eval_sources(config)
  numbers = mixtures.clips_per_corpus(
    weights, config.diagnosis_clips if expert else 1, [len(source) for source in sources]
  )
  clips: list[Clip] = []
  for k in sorted(range(len(sources)), key=lambda k: -weights[k]):
    chosen = np.random.default_rng(EVAL_SEED).choice(len(sources[k]), numbers[k], replace=False)
    order = [*chosen, *np.setdiff1d(range(len(sources[k])), chosen)]
    clips += itertools.islice(_intact_clips(sources[k], order, config.model.image_size), numbers[k])
  if not clips:
    raise UserError(f'all records of {config.data.name} are damaged: build the corpus again')
  return clips


def examples(
  source: RecordSource, seed: int, window: grain.transforms.RandomMap, process: int = 0, count: int = 1
) -> grain.MapDataset:
  """Returns one process's share of the examples of a corpus: every record once an epoch, for endless epochs.

  It is sharded after the shuffle: together, the processes read what depends on the seed alone.
  """
  return mixed_examples([source], [1.0], seed, window, process, count)


def mixed_examples(
  sources: Sequence[RecordSource],
  weights: Sequence[float],
  seed: int,
  window: grain.transforms.RandomMap,
  process: int = 0,
  count: int = 1,
) -> grain.MapDataset:
  """As `examples`, of several corpora: each has its own epochs, and a share of the examples by its weight."""
  datasets = []
  for k, source in enumerate(sources):
    numbers = grain.MapDataset.range(len(source)).seed(mixtures.corpus_seed(seed, k)).shuffle().repeat()
    datasets.append(numbers.random_map(MakeExample(source, window)))
  return mixtures.mix(datasets, weights)[process::count]


def batched(dataset: grain.MapDataset, clips: int) -> grain.MapDataset:
  """Batches the examples of `clips` clips, one after the other along the first axis."""
  return dataset.batch(clips, drop_remainder=True, batch_fn=_concatenated)


@dataclasses.dataclass(frozen=True)
class MakeExample(grain.transforms.RandomMap):
  """A random transform from the index of a record to an example; a damaged record is logged and replaced at random.

  Attributes:
    source: the records.
    window: makes an example from a record; see `data_pipeline.windows`.
  """

  source: RecordSource
  window: grain.transforms.RandomMap

  def random_map(self, number: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the window's arrays and `skipped`, the number of damaged records that were tried first.

    Raises:
      UserError: too many records in a row are damaged.
    """
    for skipped in range(MAX_DAMAGED_IN_A_ROW):
      try:
        return self.window.random_map(self.source[number], rng) | {'skipped': np.array([skipped])}
      except DAMAGE_ERRORS as error:
        problem = error
        _log_damage(number, self.source, error)
      number = int(rng.integers(len(self.source)))
    raise UserError(f'{MAX_DAMAGED_IN_A_ROW} records in a row are damaged ({problem}): build the corpus again')


def decode_clips(source: RecordSource, image_size: int, limit: int | None = None) -> list[Clip]:
  """Decodes the first `limit` records, or all of them, into clips to score, with crops of `image_size` pixels."""
  return [decode_clip(source[i], image_size) for i in range(min(len(source), limit or len(source)))]


def decode_clip(record: Record, image_size: int) -> Clip:
  """Decodes a record into a clip to score, with crops of `image_size` pixels."""
  return Clip(
    name=text(record['id']),
    speaker=text(record['speaker']),
    frames=decode_frames(record['frames'], range(len(record['frames'])), image_size),
    mel=record['mel'],
    phones=record['phones'],
    audio=record['audio'],
    mouth_opening=record.get('mouth_opening'),
    sounds=tuple(map(text, record['sounds'])) if 'sounds' in record else None,
    sound_ends=record.get('sound_ends'),
    text=text(record.get('text', '')),
  )


def _intact_clips(source: RecordSource, order: Iterable[int], image_size: int) -> Iterator[Clip]:
  for number in order:
    try:
      record = source[int(number)]
      last_start(record)
      yield decode_clip(record, image_size)
    except DAMAGE_ERRORS as error:
      _log_damage(number, source, error)


def _log_damage(number: int, source: RecordSource, error: Exception) -> None:
  logging.log_first_n(logging.WARNING, 'record %d of %r is left out: %s', 20, number, source, error)


def _concatenated(clips: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
  # In C order: Grain pickles other arrays through a pipe instead of shared memory. A worker that is stopped half-way
  # through one takes 25 s to end; when it is killed, this process waits for ever.
  return {name: np.ascontiguousarray(np.concatenate([clip[name] for clip in clips])) for name in clips[0]}


class _OwnBatches(Batches):
  """Batches of a process that reads shards of its own: the same number of processes continues them, no other."""

  def __init__(self, dataset: grain.MapDataset, workers: int, bytes_per_batch: int, processes: int):
    super().__init__(dataset, workers, bytes_per_batch)
    self._processes = processes

  def get_state(self) -> dict[str, Any]:
    return super().get_state() | {'processes': self._processes}

  def set_state(self, state: dict[str, Any]) -> None:
    if state.get('processes') != self._processes:
      raise UserError(
        f'config.data.own_shards: {state.get("processes")} processes shared the files of this run: it goes on with as '
        f'many, not with {self._processes}'
      )
    super().set_state(state)


def _training_sources(config: ConfigDict, process: int = 0, count: int = 1) -> tuple[list[RecordSource], list[float]]:
  access = Access((process, count) if config.data.get('own_shards') else (0, 1), bool(config.data.get('in_place')))
  sources, weights = mixtures.open_mixture(config.data.name, config.data.split, config.data.data_dir, access)
  if config.data.get('shifted'):
    return [Misaligned(source, config.data.shifted) for source in sources], weights
  return sources, weights


def _eval_sources(config: ConfigDict) -> tuple[list[RecordSource], list[float]]:
  access = Access(in_place=bool(config.data.get('in_place')))
  return mixtures.open_mixture(config.data.name, config.data.eval_split, config.data.data_dir, access)


def _clips_per_process(config: ConfigDict, processes: int) -> int:
  """Returns the number of clips in a process's share of a batch; raises UserError if it is not a whole number."""
  windows = config.data.windows if config.task == 'generator' else 1
  clips, rest = divmod(config.data.batch_size, windows)
  if rest:
    raise UserError(
      f'config.data.batch_size={config.data.batch_size} is not a multiple of config.data.windows={windows}'
    )
  if clips % processes:
    raise UserError(f'config.data.batch_size={config.data.batch_size} cannot be divided among {processes} processes')
  return clips // processes


def _window_transform(
  config: ConfigDict, silence: float = 0.0, misheard: float = 0.0, voice: float = 0.0, **augmentation: float
) -> grain.transforms.RandomMap:
  data, size, change = config.data, config.model.image_size, ImageAugmentation(**augmentation)
  clip = {name: data.get(name, default) for name, default in CLIPS.items()}
  if config.task in READERS_OF_CLIPS:
    return ClipWindows(size, **clip, image_augmentation=change)
  voices = AudioAugmentation(voice)
  speech = config.model.get('speech', 'mel')
  if config.task == SYNC_EXPERT:
    return ExpertWindows(size, data.windows, config.minimum_offset, change, voices, speech, misheard)
  windows = GeneratorWindows(size, data.lead, data.windows, change, silence, speech, misheard, data.reference, voices)
  if any(config.losses.get(name) for name in losses.OF_CLIPS):
    windows = dataclasses.replace(windows, **clip)
  return dataclasses.replace(
    windows,
    with_mel=bool(config.model.get('taught_by_sound')),
    gestures=config.model.landmarks if config.losses.get('landmarks') else 0,
    window_length=window_length(config.model),
  )
