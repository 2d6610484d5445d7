"""The wall-clock of a run, sorted into its steps and what else took time, over all attempts that it needed."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

STEPS, START, COMPILE, INPUT, EVALUATION, SAVING, FAULTS = (
  'steps',
  'start',
  'compile',
  'input',
  'evaluation',
  'saving',
  'faults',
)
CATEGORIES = {
  STEPS: 'steps that were kept, and whatever else the loop does',
  START: 'start of the process: imports, networks, data, the state to go on from',
  COMPILE: 'compilation of the step',
  INPUT: 'waiting for a batch, the devices idle',
  EVALUATION: 'evaluations and previews, with their compilation',
  SAVING: 'checkpoints and profiles, as far as the loop waits for them',
  FAULTS: 'from a save to the start that goes on from it: steps to be repeated, and no process at all',
}
GOODPUT, TIME, WALL = 'goodput', 'time', 'wall'  # a scalar; the kind of its lines; when a line was written
SHOWN_SECONDS = 0.5  # from which on a category is worth a word

_unclaimed = [True]  # the time since this process began: its first run takes it


class Clock:
  """The seconds of a run so far, by category: at each moment it is in exactly one, so that they add up."""

  def __init__(self) -> None:
    """Starts in 'start', with the process or, if that has had a run before, now."""
    age = _process_age() if _unclaimed else 0.0
    _unclaimed.clear()
    self._seconds = dict.fromkeys(CATEGORIES, 0.0)
    self._category = START
    self._since = time.monotonic() - age
    self._began = time.time() - age

  def follow(self, last: Mapping[str, float] | None) -> None:
    """Adds the earlier attempts of a run: the line from `last_times`, and the time that has passed since it."""
    if last is not None:
      self._seconds = {name: seconds + last.get(name, 0.0) for name, seconds in self._seconds.items()}
      self._seconds[FAULTS] += max(0.0, self._began - last[WALL])  # the clocks of two hosts may disagree

  def switch(self, category: str) -> str:
    """Counts the time from now on as `category`; returns the one until now."""
    now, before = time.monotonic(), self._category
    self._seconds[before] += now - self._since
    self._since, self._category = now, category
    return before

  @contextlib.contextmanager
  def during(self, category: str) -> Iterator[None]:
    """Counts the time of the body as `category`."""
    before = self.switch(category)
    try:
      yield
    finally:
      self.switch(before)

  def count_as(self, category: str, seconds: float) -> None:
    """Counts seconds that have just passed as `category` instead."""
    self._seconds[self._category] -= seconds
    self._seconds[category] += seconds

  def seconds(self) -> dict[str, float]:
    """Returns the seconds of each category, of all attempts."""
    self.switch(self._category)
    return dict(self._seconds)


def share(seconds: Mapping[str, float]) -> float:
  """Returns the goodput: the share of the wall-clock that went into steps which were kept."""
  return seconds[STEPS] / max(sum(seconds[name] for name in CATEGORIES), 1e-9)


def describe(seconds: Mapping[str, float]) -> str:
  """Returns the goodput as a line, the longest category first."""
  longest = sorted(CATEGORIES, key=lambda name: (name != STEPS, -seconds[name]))
  shown = [f'{name} {seconds[name]:,.0f} s' for name in longest if name == STEPS or seconds[name] >= SHOWN_SECONDS]
  return f'goodput {share(seconds):.0%}: {", ".join(shown)}'


def last_times(log: Path, step: int) -> dict[str, float] | None:
  """Returns the last line of times that metrics.jsonl has up to a step; None if it has none."""
  found = None
  for line in log.read_text(errors='replace').splitlines() if log.is_file() else ():
    if f'"{TIME}"' not in line:
      continue
    with contextlib.suppress(ValueError, KeyError, TypeError):
      entry = json.loads(line)
      if entry['kind'] == TIME and entry['step'] <= step:
        found = {name: float(entry[name]) for name in (*CATEGORIES, WALL)}
  return found


def _process_age() -> float:
  """Seconds since this process began; 0 on systems without /proc."""
  with contextlib.suppress(OSError, AttributeError):
    started = int(Path('/proc/self/stat').read_text().rpartition(')')[2].split()[19])  # clock ticks after the boot
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf('SC_CLK_TCK')
  return 0.0
