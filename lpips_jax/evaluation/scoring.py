"""Scores every candidate once: scores are cached as they come, so that an evaluation that was cut short resumes."""

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
from lpips_jax.evaluation.candidates import MakeCandidate
from lpips_jax.evaluation.measures import Scores
from lpips_jax.evaluation.scorers import Scorers

SCORES_FILE, FEATURES_DIRECTORY = 'clips.jsonl', 'features'
CLIPS_READ_AHEAD, READER_THREADS = 4, 2  # while a clip is scored
MIN_FRAMES = 8  # of a candidate: four windows of the sync expert, the first and the last of which are off-sync
DAMAGE_ERRORS = UserError, ValueError, KeyError, IndexError, RuntimeError, OSError, DecodeError  # from reading


class WorkItem(NamedTuple):
  """A clip whose candidates are to be scored.

  Attributes:
    name: identifies the clip.
    systems: the names of the systems that have a candidate for it.
    read: reads the clip, in a thread, while others are scored; returns functions that make the candidates, by system.
  """

  name: str
  systems: Collection[str]
  read: Callable[[], Mapping[str, MakeCandidate]]


@dataclass(frozen=True)
class Score:
  """The scores of one system for one clip.

  Attributes:
    key: identifies everything that the scores depend on besides the clip: see `key_of`.
    system: the name of the system.
    clip: the name of the clip.
    scores: by measure; empty if the clip was skipped.
    skipped: why it was skipped, or ''.
  """

  key: str
  system: str
  clip: str
  scores: Scores
  skipped: str = ''


class ScoreCache:
  """The scores in a directory, one a line in `clips.jsonl`, and the features that belong to them."""

  def __init__(self, directory: Path):
    self._path, self._features = directory / SCORES_FILE, directory / FEATURES_DIRECTORY
    self._scores = {(score.key, score.clip): score for score in _read_scores(self._path)}
    write_whole(self._path, ''.join(map(_line, self._scores.values())))  # without a line that was cut short

  def has(self, key: str, clip: str) -> bool:
    """Returns whether a clip has scores; a clip that was skipped has none, so that it is tried again."""
    score = self._scores.get((key, clip))
    return score is not None and not score.skipped

  def add(self, score: Score, features: np.ndarray | None = None) -> None:
    """Writes a score, after its features."""
    if features is not None:
      path, encoded = self._features_path(score), io.BytesIO()
      path.parent.mkdir(parents=True, exist_ok=True)
      np.save(encoded, features)
      write_whole(path, encoded.getvalue())
    with self._path.open('a') as file:
      file.write(_line(score))
    self._scores[score.key, score.clip] = score

  def select(self, keys: Mapping[str, str], clips: Iterable[str]) -> list[Score]:
    """Returns the scores of some clips.

    Args:
      keys: of each system that is wanted. Scores that were cached for a system of another name get this one.
      clips: their names.
    """
    found = [(system, self._scores.get((key, clip))) for clip in clips for system, key in keys.items()]
    return [Score(score.key, system, score.clip, score.scores, score.skipped) for system, score in found if score]

  def features(self, scores: Iterable[Score]) -> Iterator[np.ndarray]:
    """Yields the features of those scores that have any, (n, d) each; raises UserError when they are damaged."""
    for score in scores:
      path = self._features_path(score)
      if path.is_file():
        try:
          yield np.load(path)
        except ValueError as error:
          raise UserError(f'{path} is damaged: delete {self._path} and give the command again') from error

  def _features_path(self, score: Score) -> Path:
    return self._features / score.key / f'{_digest(score.clip)}.npy'


def score_all(
  items: Sequence[WorkItem], keys: Mapping[str, str], scorers: Scorers, score_cache: ScoreCache, progress: bool = True
) -> None:
  """Scores every candidate that has no scores yet.

  Args:
    items: the clips.
    keys: the result of `key_of` for each system.
    scorers: score the candidates.
    score_cache: gets the scores; for a clip that cannot be read or scored it gets the reason.
    progress: shows a bar on a terminal.
  """

  def missing(item: WorkItem) -> list[str]:
    return [system for system in item.systems if not score_cache.has(keys[system], item.name)]

  todo = [(item, systems) for item in items if (systems := missing(item))]
  bar = tqdm(
    total=len(items), initial=len(items) - len(todo), desc='scoring', unit='clip', disable=None if progress else True
  )
  with bar, _reader_threads() as threads:
    for item, systems, reading in _ahead((item, systems, threads.submit(item.read)) for item, systems in todo):
      for system in systems:
        score_cache.add(*_score_candidate(system, keys[system], item.name, reading, scorers))
      bar.update()


def key_of(**conditions: Any) -> str:
  """Returns twelve hexadecimal digits that identify everything that scores depend on: values that JSON can hold."""
  return _digest(json.dumps(conditions, sort_keys=True))


@contextlib.contextmanager
def _reader_threads() -> Iterator[ThreadPoolExecutor]:
  """Threads that nothing waits for once an error has been raised."""
  threads = ThreadPoolExecutor(READER_THREADS)
  try:
    yield threads
  finally:
    threads.shutdown(wait=False, cancel_futures=True)


def _digest(text: str) -> str:
  return hashlib.sha256(text.encode()).hexdigest()[:12]


def _score_candidate(
  system: str, key: str, clip: str, reading: Future[Mapping[str, MakeCandidate]], scorers: Scorers
) -> tuple[Score, np.ndarray | None]:
  try:
    makers = reading.result()
  except DAMAGE_ERRORS as error:
    # Results are read by those who gave a command, so a reason names its flags.
    return Score(key, system, clip, {}, error.as_flags() if isinstance(error, UserError) else first_line(error)), None
  candidate = makers[system]()
  if candidate.usable_frames < MIN_FRAMES:
    return Score(key, system, clip, {}, f'shorter than {MIN_FRAMES} frames'), None
  return Score(key, system, clip, scorers.score(candidate)), scorers.features(candidate)


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
  """Yields the same items, the next few of which have been asked for already."""
  waiting = deque(itertools.islice(items, CLIPS_READ_AHEAD))
  while waiting:
    yield waiting.popleft()
    waiting.extend(itertools.islice(items, 1))


def _read_scores(path: Path) -> Iterator[Score]:
  """Yields the scores of a file, without lines that were cut short or damaged."""
  if not path.is_file():
    return
  for line in path.read_text(errors='replace').splitlines():
    try:
      score = Score(**json.loads(line))
      texts, numbers = [score.key, score.system, score.clip, score.skipped], score.scores.values()
    except (ValueError, TypeError, AttributeError):
      continue
    if all(isinstance(x, str) for x in texts) and all(x is None or isinstance(x, int | float) for x in numbers):
      yield score


def _line(score: Score) -> str:
  return json.dumps(vars(score)) + '\n'
