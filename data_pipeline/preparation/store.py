"""The prepared clips on disk: one file for each raw clip, complete or absent, so that a killed run loses nothing.

  OUTPUT/settings.json         the settings of preparation
  OUTPUT/splits/<split>.txt    the ids of the raw clips, one on each line
  OUTPUT/clips/<id>.npz        the records cut from a raw clip, and the reasons for what was rejected
  OUTPUT/rejected.csv          all that was rejected; written last, so that it marks a finished run
  OUTPUT/report.html           a report on the records

The files depend on the raw clips and the settings alone: they are the same, byte for byte, in every run.
"""

import contextlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from lpips_jax.audio.loudness import mel_of
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import LOCK, directory_lock, write_whole

ARRAYS = 'audio', 'phones', 'box'  # stored as they are; the mel spectrogram is computed from the audio again
SETTINGS, FINISHED = 'settings.json', 'rejected.csv'


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


def clip_file(directory: Path, clip: str) -> Path:
  """Returns the file with the result of a raw clip."""
  return directory / 'clips' / f'{clip}.npz'


def write_clip_result(directory: Path, result: ClipResult) -> None:
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
    arrays[f'{k}/jpeg_sizes'] = np.array([len(jpeg) for jpeg in record['frames']], np.int64)
  content = BytesIO()
  np.savez(content, **arrays)
  path = clip_file(directory, result.clip)
  path.parent.mkdir(parents=True, exist_ok=True)
  write_whole(path, content.getvalue())


def is_done(directory: Path, clip: str) -> bool:
  """Returns whether the result of a raw clip is stored, complete, and not marked to be tried again."""
  try:
    return not read_summary(directory, clip).again
  except UserError:
    return False


def read_summary(directory: Path, clip: str) -> ClipSummary:
  """Reads the result of a raw clip without its pictures and sound; raises UserError as `read_records` does."""
  with _opened(directory, clip) as file:
    return _summary(file)


def read_records(directory: Path, clip: str) -> list[dict[str, Any]]:
  """Reads the records that were cut from a raw clip.

  Raises:
    UserError: the clip has not been prepared, or its file is damaged.
  """
  with _opened(directory, clip) as file:
    return [_record(file, k, described) for k, described in enumerate(_summary(file).records)]


def write_splits(directory: Path, splits: dict[str, Sequence[str]]) -> None:
  """Writes the ids of the raw clips of each split that has any."""
  (directory / 'splits').mkdir(parents=True, exist_ok=True)
  for split, clips in splits.items():
    file = directory / 'splits' / f'{split}.txt'
    if clips:
      write_whole(file, ''.join(f'{clip}\n' for clip in clips))
    else:
      file.unlink(missing_ok=True)  # from an earlier run with another source


def read_splits(directory: Path) -> dict[str, list[str]]:
  """Reads the ids of the raw clips of each split.

  Raises:
    UserError: the directory holds no prepared clips, or preparation has not finished.
  """
  files = sorted((directory / 'splits').glob('*.txt'))
  if not files:
    raise UserError(f'{directory} holds no prepared clips: give an output directory of data_pipeline.preprocess')
  if not (directory / FINISHED).exists():
    raise UserError(
      f'{directory} is not prepared to the end: run data_pipeline.preprocess again, which continues there'
    )
  return {file.stem: file.read_text(encoding='utf-8').splitlines() for file in files}


@contextlib.contextmanager
def working_in(directory: Path, settings: dict[str, Any]) -> Iterator[None]:
  """Makes a directory for prepared clips, or opens one to continue there; one run at a time can work in it.

  Files that a killed run left half written are removed, and so is the mark of a finished run.

  Raises:
    UserError: the directory holds something else, its clips were prepared with other settings, or another run is at
      work there.
  """
  if (directory / SETTINGS).exists():
    saved = read_settings(directory)
    changed = [f'{key}: {saved.get(key)} -> {settings.get(key)}' for key in settings if saved.get(key) != settings[key]]
    if changed:
      raise UserError(
        f'{directory} was prepared with other settings ({"; ".join(changed)}): use another output directory'
      )
  elif directory.exists() and any(not path.name.startswith((LOCK, SETTINGS)) for path in directory.iterdir()):
    raise UserError(f'{directory} is not empty and holds no prepared clips: use another output directory')
  directory.mkdir(parents=True, exist_ok=True)
  with directory_lock(directory):
    write_whole(directory / SETTINGS, json.dumps(settings, indent=2) + '\n')
    (directory / FINISHED).unlink(missing_ok=True)
    for stray in directory.glob('clips/**/*.part'):
      stray.unlink()
    yield


def read_settings(directory: Path) -> dict[str, Any]:
  """Reads the settings of prepared clips; raises UserError if they are missing or damaged."""
  try:
    settings = json.loads((directory / SETTINGS).read_text())
    if 'layout' in settings:
      return settings
  except (OSError, ValueError, TypeError):
    pass
  raise UserError(f'{directory / SETTINGS} is missing or damaged: prepare the clips again, in another directory')


@contextlib.contextmanager
def _opened(directory: Path, clip: str) -> Iterator[Any]:
  path = clip_file(directory, clip)
  try:
    with path.open('rb') as opened, np.load(opened) as file:
      yield file
  except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
    problem = 'is damaged: delete it' if path.exists() else 'does not exist'
    raise UserError(f'{path} {problem}; run data_pipeline.preprocess again') from error


def _summary(file: Any) -> ClipSummary:
  summary = json.loads(file['summary'].tobytes())
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
  }
