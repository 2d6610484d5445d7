"""A trace of some steps by JAX's profiler, for TensorBoard's profile plugin and xprof."""

import contextlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import jax

RANGE = re.compile(r'(\d+):(\d+)')


def steps_of(text: str) -> range:
  """Returns the steps that `FIRST:LAST` names, both included; none for ''.

  Raises:
    ValueError: it is no such text, or names no step.
  """
  if not text:
    return range(0)
  found = RANGE.fullmatch(text)
  if not found or not 1 <= int(found[1]) <= int(found[2]):
    raise ValueError(text)
  return range(int(found[1]), int(found[2]) + 1)


class Profile:
  """Traces some steps of a run, as a context in which they are made; whatever ends the run, the trace is closed."""

  def __init__(
    self,
    text: str,
    workdir: Path,
    paused: Callable[[], AbstractContextManager[None]],
    say: Callable[[str], None],
  ):
    """Makes a trace that has not begun.

    Args:
      text: see `steps_of`. A run that resumes among these steps traces the rest of them, one behind them none.
      workdir: of the run; `profile/` there gets the trace, that of each process by itself where there are several.
      paused: a context in which the trace is opened and written.
      say: shows a line.
    """
    self._steps = steps_of(text)
    self._workdir = workdir
    self._paused, self._say = paused, say
    self._tracing = False

  def __enter__(self) -> Self:
    return self

  def __exit__(self, problem: type[BaseException] | None, *_: object) -> None:
    # A second failure, such as of a full disk, would hide the first.
    with contextlib.suppress(Exception) if problem else contextlib.nullcontext():
      self._stop()

  def make(self, n: int, step: Callable[..., Any], *inputs: Any) -> Any:
    """Makes step `n` and returns its result; the trace begins before its first step, and ends with its last one."""
    if n not in self._steps:
      return step(*inputs)
    if not self._tracing:
      self._start(inputs)
    with jax.profiler.StepTraceAnnotation('train', step_num=n):
      result = step(*inputs)
    if n == self._steps[-1]:
      jax.block_until_ready(result)
      self._stop()
    return result

  def _start(self, inputs: Any) -> None:
    processes = jax.process_count()
    process = f'process_{jax.process_index()}' if processes > 1 else ''  # on one host their files have one name
    with self._paused():
      jax.block_until_ready(inputs)  # the step before is no part of the trace
      jax.profiler.start_trace(self._workdir / 'profile' / process)
    self._tracing = True

  def _stop(self) -> None:
    if not self._tracing:
      return
    self._tracing = False
    with self._paused():
      jax.profiler.stop_trace()
    self._say(f'the profile is in {self._workdir / "profile"}: look at it with tensorboard --logdir={self._workdir}')
