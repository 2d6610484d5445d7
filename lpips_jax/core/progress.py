"""Progress of long work: on a terminal, in a log, or told to a program."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tqdm import tqdm

MINUTE = 60.0  # seconds


@dataclass(frozen=True)
class Progress:
  """The progress of one stage of some work.

  Attributes:
    stage: its name.
    done: units of work done, such as frames.
    total: units in all, as far as is known before; None if it is not.
    seconds: since the stage began.
  """

  stage: str
  done: int
  total: int | None
  seconds: float

  @property
  def rate(self) -> float:
    """Units of work a second, so far."""
    return self.done / self.seconds if self.seconds > 0 else 0.0

  @property
  def seconds_left(self) -> float | None:
    """Seconds that the rest of the stage will take at this rate; None if that is not known."""
    return max(0, self.total - self.done) / self.rate if self.total is not None and self.rate else None


Report = Callable[[Progress], None]


def progress_bar(title: str, total: int | None, unit: str, shown: bool = True) -> tqdm:
  """Returns a progress bar: drawn on a terminal, else a line a minute on stdout."""
  terminal = sys.stderr.isatty()
  return tqdm(
    total=total,
    desc=title,
    unit=unit,
    mininterval=0.2 if terminal else MINUTE,
    delay=0 if terminal else MINUTE,
    file=sys.stderr if terminal else sys.stdout,
    disable=not shown,
    dynamic_ncols=True,
  )


@contextlib.contextmanager
def reported(
  stage: str, total: int | None, unit: str, shown: bool, report: Report | None
) -> Iterator[Callable[[], None]]:
  """Reports a stage of some work, as a progress bar and to a program.

  Args:
    stage: its name, the title of the bar.
    total: units of work in all, if known.
    unit: name of one unit.
    shown: whether there is a bar.
    report: called at the beginning, and after each unit.

  Yields:
    A function to call after each unit.
  """
  begun, done = time.perf_counter(), 0

  def tell() -> None:
    if report is not None:
      report(Progress(stage, done, total, time.perf_counter() - begun))

  with progress_bar(stage, total, unit, shown) as bar:

    def advance() -> None:
      nonlocal done
      done += 1
      bar.update()
      tell()

    tell()
    yield advance
