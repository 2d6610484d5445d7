"""A list of dubs, done one after another by one warm model."""

import csv
import os
import sys
from collections.abc import Callable
from typing import Any

from lpips_jax.cli import UserError
from lpips_jax.dubbing.engine import dub, load_generator

COLUMNS = 'face', 'audio', 'output'


def dub_all(jobs: str | os.PathLike[str], checkpoint: str | os.PathLike[str] | Callable[..., Any], **options) -> None:
  """Dubs every row of a CSV file; a row that fails does not stop the rest.

  Args:
    jobs: the file, with the columns face, audio and output; relative paths start from the current directory.
    checkpoint: a generator's checkpoint directory, or the generator itself.
    **options: of `dub`, for all rows.

  Raises:
    UserError: the file cannot be read, or some rows failed: each has then said why in a line on stderr.
  """
  rows = _read(jobs)
  model = load_generator(checkpoint)
  failed = 0
  for number, row in enumerate(rows, start=2):  # the first line names the columns
    try:
      dub(*(row[column] for column in COLUMNS), model, **options)
      print(f'{row["output"]}: done')
    except UserError as error:
      failed += 1
      print(f'{jobs} line {number}: {error}', file=sys.stderr)
  if failed:
    raise UserError(f'{failed} of the {len(rows)} jobs in {jobs} failed')


def _read(jobs: str | os.PathLike[str]) -> list[dict[str, str]]:
  try:
    with open(jobs, newline='', encoding='utf-8-sig') as file:
      rows = list(csv.DictReader(file))
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise UserError(f'the job list {jobs} cannot be read: {getattr(error, "strerror", None) or error}') from error
  if not rows:
    raise UserError(f'the job list {jobs} has no rows')
  for number, row in enumerate(rows, start=2):
    missing = [column for column in COLUMNS if not row.get(column)]
    if missing:
      raise UserError(
        f'the job list {jobs} lacks a value of {", ".join(missing)} in line {number}: it needs {",".join(COLUMNS)}'
      )
  return rows
