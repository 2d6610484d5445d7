"""Grain: corpus -> windows -> batches, the same whatever the number of workers or processes."""

from collections.abc import Sequence
from typing import Any

import grain
import numpy as np
from ml_collections import ConfigDict

from data_pipeline import corpora
from data_pipeline.records import decode_frames
from data_pipeline.windows import ExpertWindows, GeneratorWindow
from lpips_jax.cli import UserError
from lpips_jax.evaluation import Clip

EVAL_SEED = 0


def train_batches(config: ConfigDict, process: int = 0, processes: int = 1) -> grain.DatasetIterator:
  """Endless, shuffled batches of this process's share; the iterator's state can be saved and restored.

  Args:
    config: a training config; of its `data`, `batch_size` is the global number of windows (generator) or clips (sync
      expert), and `workers` the number of processes that decode; 0 decodes in threads of this one.
    process: index of this process among all.
    processes: how many there are; together they read what one alone would.

  Returns:
    An iterator of dicts of arrays with leading dimension batch_size / processes: see `data_pipeline.windows`.

  Raises:
    UserError: the corpus is not there, or the batch does not divide among the processes.
  """
  if config.data.batch_size % processes:
    raise UserError(f'config.data.batch_size={config.data.batch_size} does not divide among {processes} processes')
  source = corpora.source(config.data.name, config.data.split, config.data.data_dir)
  # Sharded after the shuffle and batched before the workers: global batches depend on the seed alone.
  dataset = (
    grain.MapDataset.source(source)
    .seed(config.seed)
    .shuffle()
    .repeat()
    .random_map(_window(config))[process::processes]
    .batch(config.data.batch_size // processes, drop_remainder=True)
    .to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=4))
  )
  if config.data.workers:
    dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=config.data.workers))
  return iter(dataset)


def eval_batches(config: ConfigDict) -> list[dict[str, np.ndarray]]:
  """The same `eval_batches` batches of the evaluation split at every call, few enough to keep in memory."""
  source = corpora.source(config.data.name, config.data.eval_split, config.data.data_dir)
  dataset = (
    grain.MapDataset.source(source)
    .seed(EVAL_SEED)
    .shuffle()
    .repeat()
    .random_map(_window(config))
    .batch(config.data.batch_size, drop_remainder=True)
  )
  return [dataset[i] for i in range(config.data.eval_batches)]


def whole_clips(source: Sequence[dict[str, Any]], image_size: int, limit: int | None = None) -> list[Clip]:
  """Decodes the records of a split, or its first ones, into clips to score, with crops of the size asked for."""
  records = (source[i] for i in range(min(len(source), limit or len(source))))
  return [
    Clip(
      name=_text(record['id']),
      speaker=_text(record['speaker']),
      frames=decode_frames(record['frames'], range(len(record['frames'])), image_size),
      mel=record['mel'],
      mouth_opening=record.get('mouth_opening'),
    )
    for record in records
  ]


def _text(value: bytes | str) -> str:
  """TFDS gives text as bytes."""
  return value.decode() if isinstance(value, bytes) else value


def _window(config: ConfigDict) -> grain.transforms.RandomMap:
  size = config.model.image_size
  if config.task == 'sync_expert':
    return ExpertWindows(size, config.data.windows, config.minimum_offset)
  return GeneratorWindow(size, config.data.lead)
