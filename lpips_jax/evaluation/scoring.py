"""Goes through all takes, once: what was found is kept as it comes, so that an evaluation cut short goes on there."""

import contextlib
import hashlib
import io
import itertools
import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from tqdm import tqdm

from lpips_jax.core.errors import UserError, first_line
from lpips_jax.core.files import write_whole
from lpips_jax.evaluation.candidates import length
from lpips_jax.evaluation.scorers import Scorers, Scores
from lpips_jax.evaluation.systems import MakeCandidate

ROWS, FEATURES = 'clips.jsonl', 'features'
AHEAD, READERS = 4, 2  # clips that are read while one is judged, and threads that do so
SHORTEST = 8  # frames of a take: four windows of the sync expert, the first and the last of which are off-sync
DAMAGE = UserError, ValueError, KeyError, IndexError, RuntimeError, OSError, DecodeError  # from reading


class WorkItem(NamedTuple):
  """A clip to judge.

  Attributes:
    name: what to call it.
    systems: which of them made something of it.
    read: reads it, in a thread, while others are judged; returns what makes the takes, by system.
  """

  name: str
  systems: Collection[str]
  read: Callable[[], Mapping[str, MakeCandidate]]


class Protocol(NamedTuple):
  """What is to be scored.

  Attributes:
    entries: the clips.
    systems: of each row of the table, in order, all that its scores depend on but clips and judges, as JSON has it.
    described: what the results say of it.
    write_samples: leaves what there is to see in a directory; returns what it shows, by the name of the file.
    leakage: the rows of the table of leakage, `lpips_jax.evaluation.leakage.Asked`, if there is to be one.
    more: of what is scored for that table alone, as `systems`.
  """

  entries: list[WorkItem]
  systems: dict[str, Any]
  described: dict[str, Any]
  write_samples: Callable[[Path], dict[str, str]]
  leakage: Sequence[Any] = ()
  more: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Score:
  """What was found of a system's take of a clip.

  Attributes:
    key: says all on which the scores depend, beside the clip: see `key_of`.
    system: the name of the row.
    clip: the name of the clip.
    scores: by measure; empty if there are none.
    skipped: why there are none.
  """

  key: str
  system: str
  clip: str
  scores: Scores
  skipped: str = ''


class ScoreCache:
  """The rows of a directory's evaluations, in `clips.jsonl`, and the features that belong to them."""

  def __init__(self, directory: Path):
    self._path, self._features = directory / ROWS, directory / FEATURES
    self._rows = {(row.key, row.clip): row for row in _read_rows(self._path)}
    write_whole(self._path, ''.join(_line(row) for row in self._rows.values()))  # without a line cut short

  def scored(self, key: str, clip: str) -> bool:
    """Whether there are scores; what was skipped is tried again."""
    row = self._rows.get((key, clip))
    return row is not None and not row.skipped

  def add(self, row: Score, features: np.ndarray | None = None) -> None:
    """Keeps a row, after what belongs to it."""
    if features is not None:
      path, coded = self._features_of(row.key, row.clip), io.BytesIO()
      path.parent.mkdir(parents=True, exist_ok=True)
      np.save(coded, features)
      write_whole(path, coded.getvalue())
    with self._path.open('a') as file:
      file.write(_line(row))
    self._rows[row.key, row.clip] = row

  def rows(self, keys: Mapping[str, str], clips: Iterable[str]) -> list[Score]:
    """The rows of these clips, of the systems that have these keys, under the names these have now."""
    found = [(system, self._rows.get((key, clip))) for clip in clips for system, key in keys.items()]
    return [Score(row.key, system, row.clip, row.scores, row.skipped) for system, row in found if row]

  def features(self, rows: Iterable[Score]) -> Iterator[np.ndarray]:
    """The features of rows, (n, d) each, where there are any."""
    for row in rows:
      path = self._features_of(row.key, row.clip)
      if path.is_file():
        try:
          yield np.load(path)
        except ValueError as error:
          raise UserError(f'{path} is damaged: delete {self._path} and give the command again') from error

  def _features_of(self, key: str, clip: str) -> Path:
    return self._features / key / f'{digest(clip)}.npy'


def score(
  entries: Sequence[WorkItem], keys: Mapping[str, str], scorers: Scorers, score_cache: ScoreCache, progress: bool = True
) -> None:
  """Judges every take that the ledger does not have yet.

  Args:
    entries: the clips.
    keys: of each system, what `key_of` makes of all that it depends on.
    judges: who judges.
    ledger: gets the rows; a clip that cannot be read or judged becomes one with the reason.
    progress: shows a bar, on a terminal.
  """

  def left(entry: WorkItem) -> list[str]:
    return [system for system in entry.systems if not score_cache.scored(keys[system], entry.name)]

  todo = [(entry, systems) for entry in entries if (systems := left(entry))]
  bar = tqdm(
    total=len(entries),
    initial=len(entries) - len(todo),
    desc='scoring',
    unit='clip',
    disable=None if progress else True,
  )
  with bar, _threads() as threads:
    for entry, systems, read in _ahead((entry, systems, threads.submit(entry.read)) for entry, systems in todo):
      for system in systems:
        score_cache.add(*_judge(system, keys[system], entry.name, read, scorers))
      bar.update()


@contextlib.contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
  """Threads that nobody waits for once something has gone wrong."""
  threads = ThreadPoolExecutor(READERS)
  try:
    yield threads
  finally:
    threads.shutdown(wait=False, cancel_futures=True)


def key_of(**everything: Any) -> str:
  """Twelve digits for all on which scores depend: values of JSON."""
  return digest(json.dumps(everything, sort_keys=True))


def digest(text: str) -> str:
  return hashlib.sha256(text.encode()).hexdigest()[:12]


def _judge(
  system: str, key: str, clip: str, read: Future[Mapping[str, MakeCandidate]], scorers: Scorers
) -> tuple[Score, np.ndarray | None]:
  try:
    makers = read.result()
  except DAMAGE as error:
    return Score(key, system, clip, {}, str(error) if isinstance(error, UserError) else first_line(error)), None
  candidate = makers[system]()
  if length(candidate) < SHORTEST:
    return Score(key, system, clip, {}, f'shorter than {SHORTEST} frames'), None
  return Score(key, system, clip, scorers.score(candidate)), scorers.features(candidate)


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
  """The same items, of which the next few are asked for already."""
  waiting = deque(itertools.islice(items, AHEAD))
  while waiting:
    yield waiting.popleft()
    waiting.extend(itertools.islice(items, 1))


def _read_rows(path: Path) -> Iterator[Score]:
  if not path.is_file():
    return
  for line in path.read_text(errors='replace').splitlines():
    try:
      row = Score(**json.loads(line))
      texts, numbers = [row.key, row.system, row.clip, row.skipped], row.scores.values()
    except (ValueError, TypeError, AttributeError):  # cut short, or damaged
      continue
    if all(isinstance(x, str) for x in texts) and all(x is None or isinstance(x, int | float) for x in numbers):
      yield row


def _line(row: Score) -> str:
  return json.dumps(vars(row)) + '\n'
