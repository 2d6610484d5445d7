"""Cutting many raw clips at once, in processes of this machine, whatever becomes of any of them."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2

from data_pipeline.preparation.cutting import CutSettings, cut
from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult
from data_pipeline.workers import end_with_parent, held_back
from lpips_jax.faces.detect import make_detector

AHEAD = 2  # clips handed out for each process, so that none of them waits
_detector_of_this_process = cache(make_detector)


@dataclass(frozen=True)
class Cutter:
  """Cuts raw clips; it can be sent to other processes, and makes its detector when it is first used there.

  Attributes:
    detector: 'yunet' or 'cascade', from `faces.detect.choose_detector`.
    model: YuNet's file.
    settings: how to cut.
  """

  detector: str
  model: Path | None
  settings: CutSettings

  def __call__(self, raw: RawClip) -> ClipResult:
    """Returns what comes of a raw clip. Whatever goes wrong is a reason to reject that clip, not to stop the rest."""
    try:
      return cut(raw, _detector_of_this_process(self.detector, self.model), self.settings)
    except Exception as error:
      return ClipResult(raw.id, rejected=[(raw.id, f'{type(error).__name__}: {error}')], again=True)


def cut_all(clips: Sequence[RawClip], cutter: Cutter, workers: int) -> Iterator[ClipResult]:
  """Yields the outcome of each clip, as they are done.

  A clip that takes its process down with it, as damaged files have done to decoders, is rejected for that; those that
  were being cut meanwhile are cut again.

  Args:
    clips: what to cut.
    cutter: how.
    workers: processes; 0 cuts in this one.
  """
  if workers == 0:
    yield from map(cutter, clips)
    return
  waiting, suspects = deque(clips), []
  while waiting:
    suspects += yield from _cut_until_one_dies(waiting, cutter, workers)
  for raw in suspects:  # alone, so that it is clear who is to blame
    if (yield from _cut_until_one_dies(deque([raw]), cutter, 1)):
      yield ClipResult(raw.id, rejected=[(raw.id, 'the process that read it died')], again=True)


def _cut_until_one_dies(
  waiting: deque[RawClip], cutter: Cutter, workers: int
) -> Generator[ClipResult, None, list[RawClip]]:
  """Cuts what is waiting; when a process dies, returns the clips that were being cut."""
  spawn = multiprocessing.get_context('spawn')  # a forked JAX may hang
  running: dict[Future[ClipResult], RawClip] = {}
  with ProcessPoolExecutor(workers, spawn, _start_worker) as pool:
    try:
      while waiting or running:
        while waiting and len(running) < AHEAD * workers:
          with held_back(signal.SIGINT):  # Ctrl-C is for this process, and not for those that this starts
            running[pool.submit(cutter, waiting[0])] = waiting[0]
          waiting.popleft()
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
          outcome = future.result()
          del running[future]
          yield outcome
    except BrokenProcessPool:
      return list(running.values())
    except BaseException:  # Ctrl-C, a full disk: what is being cut is cut again another time
      for worker in multiprocessing.active_children():
        worker.terminate()
      raise
  return []


def _start_worker() -> None:
  cv2.setNumThreads(1)
  end_with_parent()
