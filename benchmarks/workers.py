"""Processes that hold what is measured, one for each side of a comparison.

A process each, because either framework would take a GPU's memory for itself. One that dies, does not answer in time,
or has lost its GPU is ended; the next question makes its side anew, in a new process.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from lpips_jax.core.errors import UserError

NO_MEMORY = 'out of memory', 'RESOURCE_EXHAUSTED'  # as PyTorch and XLA say it
TOO_LITTLE = 'out of memory'  # as we do
GRACE = 10  # seconds
LOST = 'CUDA error', 'CUDA_ERROR'  # after which nothing more can be computed there

Outputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Contender:
  """What is measured.

  Attributes:
    outputs: computes once, and returns what must agree; called before `run`.
    run: computes so many times, and returns when all of it is done.
  """

  outputs: Callable[[], Outputs]
  run: Callable[[int], None]


@dataclass(frozen=True)
class Side:
  """What a worker holds.

  Attributes:
    platform: 'cpu' or 'gpu'.
    device: its name.
    version: of the framework.
    contenders: by name.
    weights: ours, as NumPy arrays, for the other side.
  """

  platform: str
  device: str
  version: str
  contenders: Mapping[str, Contender]
  weights: Any = None


class Failure(Exception):
  """What went wrong in a worker, as text."""


class Worker:
  """Holds a side in a process of its own.

  Args:
    make: makes the side; as all that is sent to a process it must be importable.
    arguments: its arguments.
    patience: seconds that any answer may take.
  """

  def __init__(self, make: Callable[..., Side], arguments: Sequence[Any], patience: float) -> None:
    self._make, self._patience = (make, arguments), patience
    self._process: multiprocessing.process.BaseProcess | None = None
    self._pipe: Connection | None = None

  def about(self) -> dict[str, Any]:
    """Makes the side if need be; returns its platform, device, version and weights."""
    return self._ask(describe)

  def outputs(self, name: str) -> Outputs:
    """What a contender computes."""
    return self._ask(outputs, name)

  def seconds(self, name: str, repeats: int) -> float:
    """How long a contender takes for so many repeats."""
    return self._ask(seconds, name, repeats)

  def close(self) -> None:
    """Ends the process, which goes by itself unless it is busy; there may be another."""
    if self._process:
      self._pipe.close()
      self._process.join(GRACE)
      self._process.kill()
      self._process.join()
    self._process = self._pipe = None

  def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
    """What `question(side, *arguments)` returns there.

    Raises:
      Failure: it failed, or there is no answer.
      UserError: it says so.
    """
    if not self._process:
      self._pipe, theirs = multiprocessing.Pipe()
      context = multiprocessing.get_context('spawn')
      self._process = context.Process(target=serve, args=(theirs, *self._make))
      self._process.start()
      theirs.close()
    try:
      self._pipe.send((question, arguments))
      if not self._pipe.poll(self._patience):
        raise TimeoutError
      answer, error = self._pipe.recv()
    except TimeoutError:
      self._process.kill()
      self.close()
      raise Failure(f'no answer within {self._patience:.0f} s') from None
    except (EOFError, OSError):
      self.close()
      raise Failure('its process died') from None
    if error and any(mark in str(error) for mark in LOST):
      self.close()
    if error:
      raise error
    return answer


# ---- in its process


def serve(pipe: Connection, make: Callable[..., Side], arguments: Sequence[Any]) -> None:
  """Answers questions of the side, which is made first, as (answer, error), until nobody is there to ask any more."""
  side = None
  with suppress(EOFError, KeyboardInterrupt):
    while True:
      question, rest = pipe.recv()
      answer, error = None, None
      try:
        side = side or told(make, *arguments)
        answer = told(question, side, *rest)
      except (UserError, Failure) as failure:
        error = failure
      pipe.send((answer, error))


def describe(side: Side) -> dict[str, Any]:
  return {'platform': side.platform, 'device': side.device, 'version': side.version, 'weights': side.weights}


def outputs(side: Side, name: str) -> Outputs:
  return side.contenders[name].outputs()


def seconds(side: Side, name: str, repeats: int) -> float:
  """Once more than asked for: what the last turn of another left, such as emptied caches, is then made good."""
  side.contenders[name].run(1)
  begun = time.perf_counter()
  side.contenders[name].run(repeats)
  return time.perf_counter() - begun


def told(work: Callable[..., Any], *arguments: Any) -> Any:
  """What work returns; its errors as `Failure`, which keeps nothing alive, as their tracebacks would a GPU's memory."""
  try:
    return work(*arguments)
  except UserError:
    raise
  except Exception as error:
    why = TOO_LITTLE if any(mark in str(error) for mark in NO_MEMORY) else f'{type(error).__name__}: {error}'
  raise Failure(why)


def prepare_environment(device: str) -> None:
  """Of this process and of those that it starts: they share a GPU, whose memory JAX would else take at once.

  Args:
    device: 'auto', or 'cpu' to leave accelerators alone.
  """
  os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] = 'false'
  # One device on either side, the first of those that there may be.
  os.environ['CUDA_VISIBLE_DEVICES'] = os.environ.get('CUDA_VISIBLE_DEVICES', '0').split(',')[0]
  if device == 'cpu':
    os.environ |= {'JAX_PLATFORMS': 'cpu', 'CUDA_VISIBLE_DEVICES': ''}
