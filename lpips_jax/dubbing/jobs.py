"""Lists of dubs, done one after another by one warm generator; a repeated run skips what is done."""

import codecs
import contextlib
import csv
import hashlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import PathLike, expand_home, read_regular, shown, write_whole
from lpips_jax.dubbing.engine import Dubber
from lpips_jax.dubbing.options import Options, from_text
from lpips_jax.storage import stores
from lpips_jax.storage.places import is_remote, join, remote_ones, require_local
from lpips_jax.storage.transfer import local_input

FILE_COLUMNS = 'face', 'output'
SPEECH_COLUMNS = 'audio', 'text', 'text_file', 'voice', 'language', 'drive', 'subtitles'
LOCAL_COLUMNS = 'voice', 'c2pa_cert', 'c2pa_key'  # that are no URLs
SEPARATORS = ',', ';', '\t'
SEPARATOR_LINE = re.compile(r'sep=(.)\r?\n', re.IGNORECASE)  # which Excel writes and reads
RESULT_COLUMNS = 'line', 'output', 'status', 'frames', 'seconds', 'note', 'key'
DONE, FAILED = 'done', 'failed'  # statuses


@dataclass(frozen=True)
class Job:
  """A row of the list.

  Attributes:
    line: the number of its line in the file.
    face, output: its files.
    speech: what is said, by `SPEECH_COLUMNS`.
    options: the fields of `Options` that it gives, as text.
  """

  line: int
  face: str
  output: str
  speech: dict[str, str]
  options: dict[str, str]


# From a job's `speech` and the options of its dub, a context with the sound file, and the options as they then are.
OpenSpeech = Callable[[Mapping[str, str], Options], AbstractContextManager[tuple[PathLike | None, Options]]]


@contextlib.contextmanager
def only_files(speech: Mapping[str, str], options: Options) -> Iterator[tuple[PathLike | None, Options]]:
  """Opens the speech of jobs that have sound files, or turns, alone."""
  if set(speech) != ({'audio'} if options.turns is None else set()):
    raise UserError('here every job needs audio or turns, and no text')
  yield speech.get('audio'), options


def dub_all(
  jobs: PathLike,
  dubber: Dubber,
  options: Mapping[str, Any],
  process: int = 0,
  processes: int = 1,
  open_speech: OpenSpeech = only_files,
) -> None:
  """Dubs the rows of a CSV file; a row that fails does not stop the rest.

  Beside the list, `NAME.results.csv` records the result of each row. A row that it calls done is not done again, unless
  its files, its options or the generator have changed, or its output is gone.

  Args:
    jobs: the file, with the columns face, output, one or more of `SPEECH_COLUMNS`, and any of the fields of `Options`;
      relative paths start from the current directory; all may be URLs.
    dubber: makes the dubs.
    options: fields of `Options`, for rows that do not give them.
    process: the number of this process, from 0: it does the rows whose number leaves this remainder.
    processes: how many share the list.
    open_speech: opens the speech of a job; see `OpenSpeech`.

  Raises:
    UserError: the file cannot be read, or some rows failed: for each, a line on stderr has given the reason.
  """
  if not 0 <= process < processes:
    raise UserError(f'process must be from 0 to {processes - 1}, not {process}', 'process')
  listed = read_jobs(jobs)
  if len(listed) > 1 and (options.get('preview') or options.get('save_boxes')):
    names = 'preview', 'save_boxes'
    raise UserError('preview and save_boxes are for one dub: make them columns of the list', *names)
  mine = listed[process::processes]
  if processes > 1:
    print(f'process {process} of {processes}: {len(mine)} of the {len(listed)} jobs in {jobs}', flush=True)
  table = _results_file(jobs, process, processes)
  results = _read_results(table)
  _write_results(table, results)  # now, in case it is not possible
  failed = 0
  for number, job in enumerate(mine, start=1):
    key = _key(job, options, dubber.fingerprint)
    before = results.get(job.line, {})
    if before.get('status') == DONE and before['key'] == key and _state(job.output):
      print(f'{number}/{len(mine)} {job.output}: was done before')
      continue
    began = time.perf_counter()
    problem = _dub(dubber, job, options, open_speech)
    seconds, frames = time.perf_counter() - began, dubber.frames
    failed += problem is not None
    status = DONE if problem is None else FAILED
    values = job.line, job.output, status, frames, f'{seconds:.2f}', problem or '', key
    results[job.line] = dict(zip(RESULT_COLUMNS, values, strict=True))
    _write_results(table, results)
    if problem is None:
      print(f'{number}/{len(mine)} {job.output}: {frames} frames in {seconds:.1f} s', flush=True)
    else:
      print(f'{jobs} line {job.line}: {problem}', file=sys.stderr, flush=True)
  if failed:
    raise UserError(f'{failed} of the {len(mine)} jobs in {jobs} failed: see {table}')


def read_jobs(path: PathLike) -> list[Job]:
  """Reads a list of jobs, as spreadsheets save it: with commas, semicolons or tabs, in UTF-8 or UTF-16.

  Blanks around values are dropped, and `~` means the home directory, as in a shell.

  Raises:
    UserError: it is no list of jobs, or two jobs have one output.
  """
  columns, rows = _read_table(path)
  missing = [column for column in FILE_COLUMNS if column not in columns]
  needed = ','.join((FILE_COLUMNS[0], SPEECH_COLUMNS[0], *FILE_COLUMNS[1:]))
  if not rows or (missing and len(columns) < 2):
    raise UserError(f'the job list {path} has no rows: it needs {needed} in its first line, and jobs below')
  if missing or len(set(columns)) < len(columns):
    problem = f'lacks {", ".join(missing)}' if missing else 'names a column twice'
    raise UserError(f'the job list {path} {problem}: its columns are {", ".join(columns)}, not {needed},…')
  jobs: list[Job] = []
  lines: dict[str, int] = {}  # of the outputs
  for line, values in rows:
    jobs.append(job := _parse_job(path, line, columns, values))
    for output in filter(
      None, (job.output, *map(job.options.get, ('preview', 'save_boxes')), job.speech.get('subtitles'))
    ):
      before = lines.setdefault(os.path.realpath(output), line)
      if before != line:
        raise UserError(f'lines {before} and {line} of the job list {path} both write {output}')
  return jobs


def _read_table(path: PathLike) -> tuple[list[str], list[tuple[int, list[str]]]]:
  """Returns the names of the columns, and the line and the values of each row that is not blank."""
  try:
    with local_input(path) as file:
      text = _decoded(read_regular(file))
    if '\0' in text:
      raise UserError(f'the job list {path} cannot be read: it has zeros where there should be text')
    lines = io.StringIO(text, newline='')
    declared = SEPARATOR_LINE.match(text)
    skipped = 1 if declared and lines.readline() else 0
    header = text.splitlines()[skipped] if len(text.splitlines()) > skipped else ''
    separator = declared[1] if declared else max(SEPARATORS, key=header.count)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    rows = [(skipped + reader.line_num, [value.strip() for value in row]) for row in reader]
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise UserError(f'the job list {path} cannot be read: {getattr(error, "strerror", None) or error}') from error
  rows = [row for row in rows if any(row[1])]
  return ([name.lower() for name in rows[0][1]], rows[1:]) if rows else ([], [])


def _decoded(content: bytes) -> str:
  """Decodes UTF-16, recognised by its mark or by its zeros, or UTF-8."""
  if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
    return content.decode('utf-16')
  if b'\0' in content[:2]:
    return content.decode('utf-16-be' if content[:1] == b'\0' else 'utf-16-le')
  return content.decode('utf-8-sig')


def _parse_job(path: PathLike, line: int, columns: Sequence[str], values: Sequence[str]) -> Job:
  given = {
    name: value if name == 'text' else expand_home(value) for name, value in zip(columns, values, strict=False) if value
  }
  missing = [column for column in FILE_COLUMNS if column not in given]
  if missing or any(values[len(columns) :]):
    problem = f'lacks a value of {", ".join(missing)}' if missing else 'has more values than columns'
    raise UserError(f'the job list {path} {problem} in line {line}: its columns are {", ".join(columns)}')
  speech = {name: value for name, value in given.items() if name in SPEECH_COLUMNS}
  if not speech and 'turns' not in given:
    raise UserError(f'the job list {path} lacks a value of audio in line {line}: give that, text, text_file or turns')
  options = {name: value for name, value in given.items() if name not in (*FILE_COLUMNS, *SPEECH_COLUMNS)}
  try:
    require_local(**{name: value for name, value in given.items() if name in LOCAL_COLUMNS})
    remote_ones(value for name, value in given.items() if name != 'text')  # raises what the dub would, but at once
    from_text(options)
  except UserError as error:  # whose names are those of the columns
    raise UserError(f'the job list {path} line {line}: {error}') from error
  return Job(line, given['face'], given['output'], speech, options)


def _dub(dubber: Dubber, job: Job, options: Mapping[str, Any], open_speech: OpenSpeech) -> str | None:
  """Does a job; returns the reason in one line if it fails."""
  try:
    with open_speech(job.speech, Options(**{**options, **from_text(job.options)})) as (audio, its_options):
      dubber.dub(job.face, audio, job.output, its_options)
  except UserError as error:  # whose names are those of the columns
    return shown(' '.join(str(error).split()))
  except Exception as error:  # an error of the program: the other jobs are done all the same
    return shown(first_line(error))
  return None


def _key(job: Job, options: Mapping[str, Any], fingerprint: str) -> str:
  """Returns sixteen digits that change whenever the result of a job might."""
  asked = {name: str(value) for name, value in options.items()} | job.options
  given = (job.options.get(name) or options.get(name) for name in ('boxes', 'turns'))
  files = job.face, *map(job.speech.get, ('audio', 'text_file')), *given
  said = [job.face, job.speech, job.output, asked, [_state(path) for path in files], fingerprint]
  text = json.dumps(said, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def _state(path: PathLike | None) -> list[int | str] | None:
  """Returns the size and the time of a file, or the size and the version of an object; None where there is none."""
  if path and is_remote(path):
    with stores.explained(path, 'read'):
      found = stores.persistently(lambda: stores.info(str(path)), str(path))
    return [found.size, found.tag] if found else None
  try:
    stat = os.stat(path or '')
  except (OSError, ValueError):  # ValueError: this cannot be a name
    return None
  return [stat.st_size, stat.st_mtime_ns]


def _results_file(jobs: PathLike, process: int, processes: int) -> str | Path:
  name = f'{Path(jobs).stem}.results{f"-{process}-of-{processes}" if processes > 1 else ""}.csv'
  return join(str(jobs).rpartition('/')[0] if is_remote(jobs) else Path(jobs).parent, name)


def _read_results(path: PathLike) -> dict[int, dict[str, Any]]:
  """Returns the results of an earlier run by line; none if they cannot be read, as all jobs are then done again."""
  try:
    with local_input(path) as local, open(local, newline='', encoding='utf-8') as file:
      rows = [row for row in csv.DictReader(file) if set(RESULT_COLUMNS) <= set(row)]
    return {int(row['line']): row for row in rows}
  except (UserError, OSError, ValueError, TypeError, csv.Error):
    return {}


def _write_results(path: str | Path, results: Mapping[int, Mapping[str, Any]]) -> None:
  text = io.StringIO()
  writer = csv.DictWriter(text, RESULT_COLUMNS, extrasaction='ignore')
  writer.writeheader()
  writer.writerows(results[line] for line in sorted(results))
  if isinstance(path, Path):
    write_whole(path, text.getvalue())
    return
  with stores.explained(path, 'written to'):
    stores.persistently(lambda: stores.write(path, text.getvalue().encode()), path)
