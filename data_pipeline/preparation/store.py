"""The prepared clips: one file for each raw clip, complete or absent, so that a killed run loses nothing.

  OUTPUT/settings.json         the settings of preparation
  OUTPUT/splits/<split>.txt    the ids of the raw clips, one on each line
  OUTPUT/clips/<id>.npz        the records cut from a raw clip, and the reasons for what was rejected
  OUTPUT/rejected.csv          all that was rejected; written last, so that it marks a finished run
  OUTPUT/report.html           a report on the records

The files depend on the raw clips and the settings alone: they are the same, byte for byte, in every run. OUTPUT is a
directory of this machine, or the URL of one in a bucket; there each file is an object, and many are written at once.
"""

import contextlib
import json
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from data_pipeline.preparation import transcripts
from lpips_jax.audio.loudness import mel_of
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import LOCK, PathLike, directory_lock
from lpips_jax.core.progress import progress_bar
from lpips_jax.storage import files, leases
from lpips_jax.storage.places import is_remote, join

THREADS = 32  # that read or write objects at once
HEAD_BYTES = 1 << 14  # of a file with a raw clip's result: they hold its summary, unless it has very many records
Item = TypeVar('Item')
Value = TypeVar('Value')
ARRAYS = 'audio', 'phones', 'box'  # stored as they are; the mel spectrogram is computed from the audio again
SETTINGS, FINISHED = 'settings.json', 'rejected.csv'


class Unprepared(UserError):
  """The result of a raw clip is missing or damaged."""


@dataclass
class ClipResult:
  """The result of preparing a raw clip.

  Attributes:
    clip: id of the raw clip.
    records: see `data_pipeline.records`.
    notes: for each record, `face`, the mean height of its face in pixels, and from the sync filter, if there is one,
      `offset`, the frames by which its sound was ahead of the picture, and `confidence`.
    rejected: (clip or record, reason) of everything that was not used.
    seconds: length of the raw clip, as far as it could be read.
    again: the next run should try this clip again: it may have failed for a reason outside the clip.
  """

  clip: str
  records: list[dict[str, Any]] = field(default_factory=list)
  notes: list[dict[str, float]] = field(default_factory=list)
  rejected: list[tuple[str, str]] = field(default_factory=list)
  seconds: float = 0.0
  again: bool = False


@dataclass(frozen=True)
class ClipSummary:
  """A `ClipResult` without pictures and sound.

  Attributes:
    clip, rejected, seconds, again: as in `ClipResult`.
    records: for each record, `id`, `speaker`, `frames` (their number), and its notes.
  """

  clip: str
  records: list[dict[str, Any]]
  rejected: list[tuple[str, str]]
  seconds: float
  again: bool = False


def clip_file(directory: PathLike, clip: str) -> Path | str:
  """Returns the file with the result of a raw clip."""
  return join(directory, f'clips/{clip}.npz')


@contextlib.contextmanager
def writing(directory: PathLike) -> Iterator[Callable[[ClipResult], None]]:
  """Yields `write_clip_result` for a directory. In a bucket it returns before the result is there, and the body after.

  Raises:
    UserError: the bucket cannot be written to.
  """
  if not is_remote(directory):
    yield partial(write_clip_result, directory)
    return
  threads, begun = ThreadPoolExecutor(THREADS), deque[Future[None]]()

  def write(result: ClipResult) -> None:
    begun.append(threads.submit(write_clip_result, directory, result))
    if len(begun) > THREADS:  # results are large
      begun.popleft().result()

  try:
    yield write
    for each in begun:
      each.result()
  finally:
    threads.shutdown(wait=False, cancel_futures=True)


def write_clip_result(directory: PathLike, result: ClipResult) -> None:
  """Writes the result of a raw clip; the file appears complete or not at all."""
  records = [
    {'id': record['id'], 'speaker': record['speaker'], 'frames': len(record['frames']), **note}
    for record, note in zip(result.records, result.notes, strict=True)
  ]
  summary = ClipSummary(result.clip, records, result.rejected, result.seconds, result.again)
  arrays: dict[str, Any] = {'summary': np.frombuffer(json.dumps(asdict(summary)).encode(), np.uint8)}
  for k, record in enumerate(result.records):
    arrays |= {f'{k}/{name}': record[name] for name in ARRAYS}
    arrays[f'{k}/jpegs'] = np.frombuffer(b''.join(record['frames']), np.uint8)
    arrays[f'{k}/transcript'] = transcripts.to_array(record)
    arrays[f'{k}/jpeg_sizes'] = np.array([len(jpeg) for jpeg in record['frames']], np.int64)
  content = BytesIO()
  np.savez(content, **arrays)
  files.write(clip_file(directory, result.clip), content.getvalue())


def is_done(directory: PathLike, clip: str) -> bool:
  """Returns whether the result of a raw clip is stored, complete, and not marked to be tried again."""
  summary = _summary_if_whole(directory, clip)
  return summary is not None and not summary.again


def read_summaries(directory: PathLike, clips: Sequence[str]) -> dict[str, ClipSummary]:
  """Reads the results of raw clips as `read_summary` does; those that are missing or damaged are left out.

  A bucket is listed once, and many objects are read at once.
  """
  read = partial(_summary_if_whole, directory)
  if not is_remote(directory):
    summaries = list(map(read, clips))
  else:
    stored = files.sizes_below(str(join(directory, 'clips')))
    clips = [clip for clip in clips if f'{clip}.npz' in stored]
    summaries = _in_threads(read, clips, 'prepared clips')
  return {clip: summary for clip, summary in zip(clips, summaries, strict=True) if summary}


def count_clips(directory: PathLike) -> int:
  """Returns how many raw clips have a result; raises UserError if the bucket cannot be listed."""
  clips = join(directory, 'clips')
  names = files.sizes_below(str(clips)) if is_remote(clips) else Path(clips).glob('**/*.npz')
  return sum(1 for _ in names)


def read_summary(directory: PathLike, clip: str) -> ClipSummary:
  """Reads the result of a raw clip without its pictures and sound; raises as `read_records` does."""
  path = clip_file(directory, clip)
  if is_remote(path) and (summary := _summary_of_head(files.read(path, HEAD_BYTES) or b'')):
    return summary
  with _opened(path) as file:
    return _summary(file['summary'])


def read_records(directory: PathLike, clip: str) -> list[dict[str, Any]]:
  """Reads the records that were cut from a raw clip.

  Raises:
    Unprepared: the clip has not been prepared, or its file is damaged.
    UserError: the bucket cannot be read.
  """
  with _opened(clip_file(directory, clip)) as file:
    return [_record(file, k, described) for k, described in enumerate(_summary(file['summary']).records)]


def write_splits(directory: PathLike, splits: Mapping[str, Sequence[str]]) -> None:
  """Writes the ids of the raw clips of each split that has any."""
  for split, clips in splits.items():
    file = join(directory, f'splits/{split}.txt')
    if clips:
      files.write(file, ''.join(f'{clip}\n' for clip in clips))
    else:
      files.delete(file)  # from an earlier run with another source


def read_splits(directory: PathLike) -> dict[str, list[str]]:
  """Reads the ids of the raw clips of each split.

  Raises:
    UserError: the directory holds no prepared clips, or preparation has not finished.
  """
  lists = sorted(name for name in _names_in(join(directory, 'splits')) if name.endswith('.txt'))
  if not lists:
    raise UserError(f'{directory} holds no prepared clips: give an output directory of data_pipeline.preprocess')
  if files.read(join(directory, FINISHED)) is None:
    raise UserError(
      f'{directory} is not prepared to the end: run data_pipeline.preprocess again, which continues there'
    )
  contents = {name: files.read(join(directory, f'splits/{name}')) or b'' for name in lists}
  return {name.removesuffix('.txt'): content.decode().splitlines() for name, content in contents.items()}


@contextlib.contextmanager
def working_in(directory: PathLike, settings: dict[str, Any]) -> Iterator[None]:
  """Makes a directory for prepared clips, or opens one to continue there; one run at a time can work in it.

  Files that a killed run left half written are removed, and so is the mark of a finished run.

  Raises:
    UserError: the directory holds something else, its clips were prepared with other settings, or another run is at
      work there.
  """
  _check_continues(directory, settings)
  with _only_run(directory):
    files.write(join(directory, SETTINGS), json.dumps(settings, indent=2) + '\n')
    files.delete(join(directory, FINISHED))
    if not is_remote(directory):
      for stray in Path(directory).glob('clips/**/*.part'):
        stray.unlink()
    yield


def read_settings(directory: PathLike) -> dict[str, Any]:
  """Reads the settings of prepared clips; raises UserError if they are missing or damaged."""
  path = join(directory, SETTINGS)
  try:
    settings = json.loads(files.read(path) or b'')
    if 'layout' in settings:
      return settings
  except (OSError, ValueError, TypeError):
    pass
  raise UserError(f'{path} is missing or damaged: prepare the clips again, in another directory')


def _check_continues(directory: PathLike, settings: dict[str, Any]) -> None:
  """Raises UserError if there is anything but clips that were prepared with these settings."""
  if files.read(join(directory, SETTINGS)) is not None:
    saved = read_settings(directory)
    changed = [f'{key}: {saved.get(key)} -> {settings.get(key)}' for key in settings if saved.get(key) != settings[key]]
    if changed:
      raise UserError(
        f'{directory} was prepared with other settings ({"; ".join(changed)}): use another output directory'
      )
  elif any(not name.startswith((LOCK, SETTINGS, leases.DIRECTORY)) for name in _names_in(directory)):
    raise UserError(f'{directory} is not empty and holds no prepared clips: use another output directory')


def _names_in(directory: PathLike) -> Iterable[str]:
  if is_remote(directory):
    return files.sizes_below(str(directory))
  return [path.name for path in Path(directory).iterdir()] if Path(directory).exists() else []


@contextlib.contextmanager
def _only_run(directory: PathLike) -> Iterator[None]:
  """Keeps other runs out of a directory during the body; raises UserError if one is at work there."""
  if not is_remote(directory):
    Path(directory).mkdir(parents=True, exist_ok=True)
    with directory_lock(Path(directory)):
      yield
    return
  with leases.held(str(directory)):
    yield


@contextlib.contextmanager
def _opened(path: PathLike) -> Iterator[Any]:
  """Yields the arrays of a file with the result of a raw clip; raises Unprepared, also if the body finds it damaged."""
  try:
    with _binary(path) as opened, np.load(opened) as file:
      yield file
  except (FileNotFoundError, NotADirectoryError) as error:
    raise Unprepared(f'{path} does not exist; run data_pipeline.preprocess again') from error
  except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
    raise Unprepared(f'{path} is damaged: delete it; run data_pipeline.preprocess again') from error


def _binary(path: PathLike) -> BinaryIO:
  if not is_remote(path):
    return open(path, 'rb')
  content = files.read(path)
  if content is None:
    raise FileNotFoundError(path)
  return BytesIO(content)


def _in_threads(function: Callable[[Item], Value], items: Sequence[Item], title: str) -> list[Value]:
  """Returns a function's result for each item, in their order; shows progress."""
  threads = ThreadPoolExecutor(THREADS)
  try:
    with progress_bar(title, len(items), 'clip') as bar:
      results = []
      for result in threads.map(function, items):
        results.append(result)
        bar.update()
    return results
  finally:
    threads.shutdown(wait=False, cancel_futures=True)


def _summary_if_whole(directory: PathLike, clip: str) -> ClipSummary | None:
  try:
    return read_summary(directory, clip)
  except Unprepared:
    return None


def _summary_of_head(head: bytes) -> ClipSummary | None:
  """Returns the summary that begins a file, in its first bytes; None if they are too few, or something else.

  The file is an archive of ZIP. Its first member is stored as it is, behind 30 bytes that give the lengths of its name
  and of an extra field.
  """
  try:
    name, extra = struct.unpack_from('<HH', head, 26)
    return _summary(np.lib.format.read_array(BytesIO(head[30 + name + extra :])))
  except (ValueError, KeyError, TypeError, EOFError, struct.error):
    return None


def _summary(array: np.ndarray) -> ClipSummary:
  summary = json.loads(array.tobytes())
  return ClipSummary(**summary | {'rejected': [tuple(pair) for pair in summary['rejected']]})


def _record(file: Any, k: int, described: dict[str, Any]) -> dict[str, Any]:
  ends = np.cumsum(file[f'{k}/jpeg_sizes'])
  content = file[f'{k}/jpegs'].tobytes()
  jpegs = [content[end - size : end] for end, size in zip(ends, file[f'{k}/jpeg_sizes'], strict=True)]
  arrays = {name: file[f'{k}/{name}'] for name in ARRAYS}
  mel = mel_of(arrays['audio'])
  arrays['phones'] = arrays['phones'][: len(mel)]  # a part of a record may have one more
  return {
    'id': described['id'],
    'speaker': described['speaker'],
    'frames': jpegs,
    'mel': mel,
    **arrays,
    **(transcripts.from_array(file[said]) if (said := f'{k}/transcript') in file else {'text': '', 'words': []}),
  }
