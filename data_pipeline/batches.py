"""Endless batches that go on where they were: with any number of worker processes, and of processes that train."""

import asyncio
import json
import shutil
import signal
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grain
import numpy as np

from data_pipeline.workers import end_with_parent, held_back, start_tracker
from lpips_jax.core.errors import UserError
from lpips_jax.core.machine import keep_freed_memory

READ_OPTIONS = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
SHARED_MEMORY = Path('/dev/shm')  # of Linux, where workers put batches
BATCHES_A_WORKER = 4  # that Grain keeps there: two in the worker, one in its queue, one taken from it
BATCHES_IN_USE = 2


class Batches(grain.DatasetIterator):
  """The elements of a dataset of batches; its state is how many of them were drawn.

  That is the same whoever makes them: a run may go on with other workers, or in another number of processes.
  """

  def __init__(self, dataset: grain.MapDataset, workers: int, bytes_a_batch: int):
    """Starts no process until the first batch is drawn.

    Args:
      dataset: of batches, without end, each of which depends on its place alone.
      workers: processes that make them; 0 makes them in threads of this one.
      bytes_a_batch: about what each takes.

    Raises:
      UserError: the workers could not hand over batches, as there is too little shared memory.
    """
    super().__init__()
    self._dataset, self._workers, self._drawn = dataset, workers, 0
    self._made: grain.DatasetIterator | None = None
    if workers:
      start_tracker()
      _check_shared_memory(workers, bytes_a_batch)

  def __next__(self) -> dict[str, np.ndarray]:
    """Returns the next batch.

    An error in a worker is raised here, as is RuntimeError when one is killed, or UserError when it found no more
    shared memory.
    """
    try:
      with held_back(signal.SIGTERM):  # is for us: it would end the workers before we have saved
        self._made = self._made or self._from_here()
        batch = next(self._made)
    except RuntimeError as error:
      if f'exit code {-signal.SIGBUS}' in str(error):
        raise UserError(_too_little(self._workers, 'has none left')) from error
      raise
    self._drawn += 1
    return batch

  def get_state(self) -> dict[str, Any]:
    return {'drawn': self._drawn}

  def set_state(self, state: dict[str, Any]) -> None:
    if self._made:
      self._made.close()
    self._drawn, self._made = _drawn(state), None

  async def load(self, directory: Path) -> Awaitable[None]:
    """Called by Orbax. Each of the processes that trained has left its state there, and all of them are alike."""

    async def read() -> None:
      text = await asyncio.to_thread(min(directory.glob('process_*.json')).read_text)
      self.set_state(json.loads(text))

    return read()

  def close(self) -> None:
    super().close()
    if self._made:
      self._made.close()

  def _from_here(self) -> grain.DatasetIterator:
    rest = self._dataset[self._drawn :]
    return iter(in_processes(rest, self._workers) if self._workers else rest.to_iter_dataset(READ_OPTIONS))


def in_processes(dataset: grain.MapDataset, workers: int) -> grain.IterDataset:
  """The same elements in the same order, made ahead by processes; their errors and their deaths are raised here."""
  one_thread = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)  # more of them wait for each other's Python
  options = grain.MultiprocessingOptions(num_workers=workers)
  start_tracker()
  return dataset.to_iter_dataset(one_thread).mp_prefetch(options, worker_init_fn=_start_worker)


def _check_shared_memory(workers: int, bytes_a_batch: int) -> None:
  """Raises UserError unless there is shared memory enough for so many workers; where it is full, they are killed."""
  if not SHARED_MEMORY.is_dir():  # another system
    return
  free = shutil.disk_usage(SHARED_MEMORY).free
  if (BATCHES_A_WORKER * workers + BATCHES_IN_USE) * bytes_a_batch > free:
    fewer = max(0, (free // bytes_a_batch - BATCHES_IN_USE) // BATCHES_A_WORKER)
    raise UserError(_too_little(workers, f'has {free >> 20} MiB free', bytes_a_batch, fewer))


def _too_little(workers: int, has: str, bytes_a_batch: int = 0, fewer: int = 0) -> str:
  need = (BATCHES_A_WORKER * workers + BATCHES_IN_USE) * bytes_a_batch
  wanted = f'{-(-need >> 20)} MiB of ' if need else ''
  return (
    f'config.data.workers={workers} need {wanted}shared memory, and {SHARED_MEMORY} {has}: start the container with '
    f'more (docker run --shm-size=…), or give fewer workers, such as --config.data.workers={fewer}'
  )


def _drawn(state: dict[str, Any]) -> int:
  """How many batches were drawn; runs of earlier versions kept Grain's own states, of each worker if there were any."""
  if 'drawn' in state:
    return state['drawn']
  workers = state.get('iterators_in_use_states', [state])
  return sum(worker['next_index'] for worker in workers if worker)


def _start_worker(*_: int) -> None:
  end_with_parent()
  keep_freed_memory()
