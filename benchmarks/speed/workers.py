"""Worker processes, one for each side of a comparison.

Each framework has its own process, because either would claim a GPU's memory for itself. A worker that dies, does not
answer in time or loses its GPU is ended; the next request starts a new process, which builds its side again.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from lpips_jax.core.errors import UserError

OUT_OF_MEMORY = 'out of memory'  # the reason given for either of the next
FRAMEWORKS_OUT_OF_MEMORY = 'out of memory', 'RESOURCE_EXHAUSTED'  # messages of PyTorch and XLA
LOST_GPU = 'CUDA error', 'CUDA_ERROR'  # after such messages a process can compute nothing more
EXIT_SECONDS = 10  # until a closed worker is killed

Outputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Contender:
  """A measured program.

  Attributes:
    outputs: computes once, and returns the arrays to compare; called before `run`.
    run: computes that many times, and returns when all is done.
  """

  outputs: Callable[[], Outputs]
  run: Callable[[int], None]


@dataclass(frozen=True)
class Side:
  """One side of a comparison, as a worker holds it.

  Attributes:
    platform: 'cpu' or 'gpu'.
    device: name of the device.
    version: version of the framework.
    contenders: contenders by name.
    weights: our weights as NumPy arrays, for the other side.
  """

  platform: str
  device: str
  version: str
  contenders: Mapping[str, Contender]
  weights: Any = None


class Failure(Exception):
  """An error in a worker, as text."""


class Worker:
  """A process that holds one side of a comparison.

  Args:
    make: makes the side; importable, as the process gets it by name.
    arguments: its arguments.
    patience: maximum seconds for any answer.
  """

  def __init__(self, make: Callable[..., Side], arguments: Sequence[Any], patience: float) -> None:
    self._make, self._patience = (make, arguments), patience
    self._process: BaseProcess | None = None
    self._pipe: Connection | None = None

  def about(self) -> dict[str, Any]:
    """Makes the side if necessary; returns its platform, device, version and weights."""
    return self._ask(describe)

  def outputs(self, name: str) -> Outputs:
    """Returns the outputs of a contender."""
    return self._ask(outputs, name)

  def seconds(self, name: str, repeats: int) -> float:
    """Returns the seconds that a contender takes for that many repeats."""
    return self._ask(seconds, name, repeats)

  def close(self) -> None:
    """Ends the process, killing it if it is busy; a later request starts another."""
    if self._process and self._pipe:
      self._pipe.close()
      self._process.join(EXIT_SECONDS)
      self._process.kill()
      self._process.join()
    self._process = self._pipe = None

  def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
    """Returns the result of `question(side, *arguments)`, computed in the worker.

    Raises:
      Failure: it failed, or did not answer.
      UserError: the worker raised one.
    """
    process, pipe = self._running()
    try:
      pipe.send((question, arguments))
      if not pipe.poll(self._patience):
        raise TimeoutError
      answer, error = pipe.recv()
    except TimeoutError:
      process.kill()
      self.close()
      raise Failure(f'no answer within {self._patience:.0f} s') from None
    except (EOFError, OSError):
      self.close()
      raise Failure('its process died') from None
    if error and any(message in str(error) for message in LOST_GPU):
      self.close()
    if error:
      raise error
    return answer

  def _running(self) -> tuple[BaseProcess, Connection]:
    """Starts the process if there is none; returns it and its pipe."""
    if not self._process or not self._pipe:
      self._pipe, theirs = multiprocessing.Pipe()
      context = multiprocessing.get_context('spawn')
      self._process = context.Process(target=serve, args=(theirs, *self._make))
      self._process.start()
      theirs.close()
    return self._process, self._pipe


# ---- in the worker's process


def serve(pipe: Connection, make: Callable[..., Side], arguments: Sequence[Any]) -> None:
  """Makes the side and answers questions as (answer, error), until the pipe is closed."""
  side = None
  with suppress(EOFError, KeyboardInterrupt):
    while True:
      question, rest = pipe.recv()
      answer, error = None, None
      try:
        side = side or without_traceback(make, *arguments)
        answer = without_traceback(question, side, *rest)
      except (UserError, Failure) as failure:
        error = failure
      pipe.send((answer, error))


def describe(side: Side) -> dict[str, Any]:
  return {'platform': side.platform, 'device': side.device, 'version': side.version, 'weights': side.weights}


def outputs(side: Side, name: str) -> Outputs:
  return side.contenders[name].outputs()


def seconds(side: Side, name: str, repeats: int) -> float:
  """Times the repeats, after one more that restores caches which other contenders have emptied."""
  side.contenders[name].run(1)
  begun = time.perf_counter()
  side.contenders[name].run(repeats)
  return time.perf_counter() - begun


def without_traceback(work: Callable[..., Any], *arguments: Any) -> Any:
  """Calls `work`, and turns its errors into `Failure`, as tracebacks would keep a GPU's memory alive."""
  try:
    return work(*arguments)
  except UserError:
    raise
  except Exception as error:
    out_of_memory = any(message in str(error) for message in FRAMEWORKS_OUT_OF_MEMORY)
    why = OUT_OF_MEMORY if out_of_memory else f'{type(error).__name__}: {error}'
  raise Failure(why)


def prepare_environment(device: str) -> None:
  """Prepares this process, and those that it starts, for sharing a GPU, whose memory JAX would claim otherwise.

  Args:
    device: 'auto', or 'cpu' to use no accelerator.
  """
  os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] = 'false'
  # One device for either side: the first visible one.
  os.environ['CUDA_VISIBLE_DEVICES'] = os.environ.get('CUDA_VISIBLE_DEVICES', '0').split(',')[0]
  if device == 'cpu':
    os.environ |= {'JAX_PLATFORMS': 'cpu', 'CUDA_VISIBLE_DEVICES': ''}
