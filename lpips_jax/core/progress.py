"""Progress of long work, on a terminal or in a log."""

import sys

from tqdm import tqdm

MINUTE = 60.0  # seconds


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
