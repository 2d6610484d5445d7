"""Endless batches whose position can be saved and restored, with any number of worker and training processes."""

import asyncio
import json
import shutil
import signal
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grain
import numpy as np

from data_pipeline.workers import end_with_parent, signal_blocked, start_resource_tracker
from lpips_jax.core.errors import UserError
from lpips_jax.core.machine import keep_freed_memory

READ_OPTIONS = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
SHARED_MEMORY = Path('/dev/shm')  # where workers put batches, on Linux
BATCHES_PER_WORKER = 4  # Grain keeps two in the worker, one in its queue and one taken from it
BATCHES_IN_USE = 2  # by the training process


class Batches(grain.DatasetIterator):
  """An iterator over a dataset of batches; its state is the number of batches drawn.

  The state does not depend on the workers: a run may continue with other workers or another number of processes.
  """

  def __init__(self, dataset: grain.MapDataset, workers: int, bytes_per_batch: int):
    """Opens the iterator; no process starts before the first batch is drawn.

    Args:
      dataset: endless batches, each of which depends on its position alone.
      workers: number of processes that make batches; 0 makes them in threads of this process.
      bytes_per_batch: approximate size of a batch.

    Raises:
      UserError: there is too little shared memory for the batches of the workers.
    """
    super().__init__()
    self._dataset, self._workers, self._drawn = dataset, workers, 0
    self._iterator: grain.DatasetIterator | None = None
    if workers:
      start_resource_tracker()
      _check_shared_memory(workers, bytes_per_batch)

  def __next__(self) -> dict[str, np.ndarray]:
    """Returns the next batch.

    Raises:
      RuntimeError: a worker was killed. An error within a worker is raised here as it is.
      UserError: a worker ran out of shared memory.
    """
    try:
      with signal_blocked(signal.SIGTERM):  # it would end the workers before this process has saved
        self._iterator = self._iterator or self._from_here()
        batch = next(self._iterator)
    except RuntimeError as error:
      if f'exit code {-signal.SIGBUS}' in str(error):
        raise UserError(_memory_message(self._workers, 'has none left')) from error
      raise
    self._drawn += 1
    return batch

  def get_state(self) -> dict[str, Any]:
    return {'drawn': self._drawn}

  def set_state(self, state: dict[str, Any]) -> None:
    if self._iterator:
      self._iterator.close()
    self._drawn, self._iterator = _count_drawn(state), None

  async def load(self, directory: Path) -> Awaitable[None]:
    """Reads a saved state; called by Orbax. Every training process has saved one, and all of them are equal."""

    async def read() -> None:
      text = await asyncio.to_thread(min(directory.glob('process_*.json')).read_text)
      self.set_state(json.loads(text))

    return read()

  def close(self) -> None:
    super().close()
    if self._iterator:
      self._iterator.close()

  def _from_here(self) -> grain.DatasetIterator:
    rest = self._dataset[self._drawn :]
    return iter(in_processes(rest, self._workers) if self._workers else rest.to_iter_dataset(READ_OPTIONS))


def in_processes(dataset: grain.MapDataset, workers: int) -> grain.IterDataset:
  """Prefetches a dataset in worker processes, in the same order; errors and deaths of workers are raised here."""
  one_thread = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)  # more threads wait for each other's Python
  options = grain.MultiprocessingOptions(num_workers=workers)
  start_resource_tracker()
  return dataset.to_iter_dataset(one_thread).mp_prefetch(options, worker_init_fn=_start_worker)


def _check_shared_memory(workers: int, bytes_per_batch: int) -> None:
  """Raises UserError if there is too little shared memory for the workers: they are killed when it is full."""
  if not SHARED_MEMORY.is_dir():  # not Linux
    return
  free = shutil.disk_usage(SHARED_MEMORY).free
  if (BATCHES_PER_WORKER * workers + BATCHES_IN_USE) * bytes_per_batch > free:
    fewer = max(0, (free // bytes_per_batch - BATCHES_IN_USE) // BATCHES_PER_WORKER)
    raise UserError(_memory_message(workers, f'has {free >> 20} MiB free', bytes_per_batch, fewer))


def _memory_message(workers: int, has: str, bytes_per_batch: int = 0, fewer: int = 0) -> str:
  need = (BATCHES_PER_WORKER * workers + BATCHES_IN_USE) * bytes_per_batch
  wanted = f'{-(-need >> 20)} MiB of ' if need else ''
  return (
    f'config.data.workers={workers} needs {wanted}shared memory, and {SHARED_MEMORY} {has}: start the container with '
    f'more (docker run --shm-size=…), or lower config.data.workers, to {fewer} for example'
  )


def _count_drawn(state: dict[str, Any]) -> int:
  """Returns the number of batches drawn; earlier versions saved Grain's own states, one for each worker."""
  if 'drawn' in state:
    return state['drawn']
  workers = state.get('iterators_in_use_states', [state])
  return sum(worker['next_index'] for worker in workers if worker)


def _start_worker(*_: int) -> None:
  end_with_parent()
  keep_freed_memory()
