"""Cutting in parallel on one machine; a clip that crashes its process is rejected without stopping the rest."""

import contextlib
import dataclasses
import multiprocessing
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2

from data_pipeline.preparation.cutting import CutSettings, cut
from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.sources import local_copy
from data_pipeline.preparation.store import ClipResult
from data_pipeline.workers import end_with_parent, signal_blocked
from lpips_jax.faces.detect import Detect, make_detector

CLIPS_PER_WORKER = 2  # submitted at once, so that no process waits


@dataclass(frozen=True)
class Cutter:
  """A function that cuts raw clips. It can be sent to other processes, where it makes its detector on first use.

  Attributes:
    detector: 'yunet' or 'cascade', from `faces.detect.choose_detector`.
    model: YuNet's file, or its content for processes that may be on other machines.
    settings: the options of cutting.
  """

  detector: str
  model: Path | bytes | None
  settings: CutSettings

  def __call__(self, raw: RawClip) -> ClipResult:
    """Cuts a raw clip. Any error rejects this clip, so that the others are still cut; the next run tries it again.

    Raises:
      UserError: the clip's bucket cannot be read.
    """
    with _local_copies(raw) as here:
      try:
        return cut(here, _detector_of_this_process(self.detector, self.model), self.settings)
      except Exception as error:
        reason = f'{type(error).__name__}: {error}'.replace(str(here.path), 'the file')
        return ClipResult(raw.id, rejected=[(raw.id, reason)], again=True)


def cut_all(
  clips: Sequence[RawClip], cutter: Callable[[RawClip], ClipResult], workers: int
) -> Generator[ClipResult, None, None]:
  """Yields the results of all clips in the order in which they are done.

  A clip that crashes its process, as damaged files have done to decoders, is rejected; clips that were being cut at the
  same time are cut again.

  Args:
    clips: the raw clips.
    cutter: cuts a raw clip; must be picklable if there are workers.
    workers: number of processes; 0 cuts in this one.
  """
  if workers == 0:
    yield from map(cutter, clips)
    return
  waiting, suspects = deque(clips), []
  while waiting:
    suspects += yield from _cut_until_one_dies(waiting, cutter, workers)
  for raw in suspects:  # one at a time, to find which of them crashes
    if (yield from _cut_until_one_dies(deque([raw]), cutter, 1)):
      yield ClipResult(raw.id, rejected=[(raw.id, 'the process that read it died')], again=True)


def _cut_until_one_dies(
  waiting: deque[RawClip], cutter: Callable[[RawClip], ClipResult], workers: int
) -> Generator[ClipResult, None, list[RawClip]]:
  """Yields the results of the waiting clips; when a process dies, returns the clips that were being cut."""
  spawn = multiprocessing.get_context('spawn')  # a forked JAX may hang
  running: dict[Future[ClipResult], RawClip] = {}
  with ProcessPoolExecutor(workers, spawn, _start_worker) as pool:
    try:
      while waiting or running:
        while waiting and len(running) < CLIPS_PER_WORKER * workers:
          with signal_blocked(signal.SIGINT):  # Ctrl-C is for this process, not for its workers
            running[pool.submit(cutter, waiting[0])] = waiting[0]
          waiting.popleft()
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
          result = future.result()
          del running[future]
          yield result
    except BrokenProcessPool:
      return list(running.values())
    except BaseException:  # Ctrl-C or a full disk: clips that are being cut are left to the next run
      for worker in multiprocessing.active_children():
        worker.terminate()
      raise
  return []


@contextlib.contextmanager
def _local_copies(raw: RawClip) -> Iterator[RawClip]:
  """Yields the clip with paths of this machine."""
  with contextlib.ExitStack() as stack:
    path = stack.enter_context(local_copy(raw.path))
    transcript = raw.transcript and stack.enter_context(local_copy(raw.transcript))
    yield dataclasses.replace(raw, path=path, transcript=transcript)


@cache
def _detector_of_this_process(kind: str, model: Path | bytes | None) -> Detect:
  if not isinstance(model, bytes):
    return make_detector(kind, model)
  with tempfile.NamedTemporaryFile(suffix='.onnx') as file:  # by which OpenCV knows the format
    file.write(model)
    file.flush()
    return make_detector(kind, file.name)


def _start_worker() -> None:
  cv2.setNumThreads(1)
  end_with_parent()
