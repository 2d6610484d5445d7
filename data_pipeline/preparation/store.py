"""What preparation leaves on disk: one file for each raw clip, whole or not there, so that a killed run loses nothing.

  OUTPUT/settings.json         what the clips were prepared with
  OUTPUT/splits/<split>.txt    ids of the raw clips, one a line
  OUTPUT/clips/<id>.npz        the records cut from one raw clip, and what was not used of it and why
  OUTPUT/rejected.csv          all that was not used; it is there once the run is through
  OUTPUT/report.html           and what there is

The files depend on the raw clip and the settings alone: byte for byte the same in every run.
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
from lpips_jax.core.files import LOCK, alone_in, write_whole

ARRAYS = 'audio', 'phones', 'box'  # and the mel is made of the audio again
SETTINGS, FINISHED = 'settings.json', 'rejected.csv'


@dataclass
class ClipResult:
  """What came of a raw clip.

  Attributes:
    clip: its id.
    records: see `data_pipeline.records`.
    notes: of each record: `face`, the mean height of its face in pixels, and, if a sync expert has judged it, `offset`,
      frames by which its sound was ahead, and `confidence`.
    rejected: (what, reason) of all that was not used.
    seconds: how long the raw clip is, as far as it could be read.
    again: whether the next run should try anew: something failed that may not be the clip's fault.
  """

  clip: str
  records: list[dict[str, Any]] = field(default_factory=list)
  notes: list[dict[str, float]] = field(default_factory=list)
  rejected: list[tuple[str, str]] = field(default_factory=list)
  seconds: float = 0.0
  again: bool = False


@dataclass(frozen=True)
class PreparationSummary:
  """An outcome without pictures and sound: what a report needs of it.

  Attributes:
    clip, rejected, seconds, again: as in `ClipResult`.
    records: of each record `id`, `speaker`, `frames` (their number), and its notes.
  """

  clip: str
  records: list[dict[str, Any]]
  rejected: list[tuple[str, str]]
  seconds: float
  again: bool = False


def clip_file(directory: Path, clip: str) -> Path:
  """Returns where the outcome of the raw clip of this id is kept."""
  return directory / 'clips' / f'{clip}.npz'


def write_clip_result(directory: Path, outcome: ClipResult) -> None:
  """Writes the outcome of a raw clip; the file appears whole or not at all."""
  records = [
    {'id': record['id'], 'speaker': record['speaker'], 'frames': len(record['frames']), **note}
    for record, note in zip(outcome.records, outcome.notes, strict=True)
  ]
  summary = PreparationSummary(outcome.clip, records, outcome.rejected, outcome.seconds, outcome.again)
  arrays = {'summary': np.frombuffer(json.dumps(asdict(summary)).encode(), np.uint8)}
  for k, record in enumerate(outcome.records):
    arrays |= {f'{k}/{name}': record[name] for name in ARRAYS}
    arrays[f'{k}/jpegs'] = np.frombuffer(b''.join(record['frames']), np.uint8)
    arrays[f'{k}/jpeg_sizes'] = np.array([len(jpeg) for jpeg in record['frames']], np.int64)
  content = BytesIO()
  np.savez(content, **arrays)
  path = clip_file(directory, outcome.clip)
  path.parent.mkdir(parents=True, exist_ok=True)
  write_whole(path, content.getvalue())


def is_done(directory: Path, clip: str) -> bool:
  """Whether the outcome of this raw clip is there, not cut short as by a power failure, and not to be tried anew."""
  try:
    return not read_summary(directory, clip).again
  except UserError:
    return False


def read_summary(directory: Path, clip: str) -> PreparationSummary:
  """Reads what became of a raw clip, without its pictures and sound; raises UserError as `read_records` does."""
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
      file.unlink(missing_ok=True)  # of an earlier run, whose source was another


def read_splits(directory: Path) -> dict[str, list[str]]:
  """Reads the ids of the raw clips of each split.

  Raises:
    UserError: the directory does not hold prepared clips, or not all of them yet.
  """
  files = sorted((directory / 'splits').glob('*.txt'))
  if not files:
    raise UserError(f'{directory} holds no prepared clips: give the --output of data_pipeline.preprocess')
  if not (directory / FINISHED).exists():
    raise UserError(f'{directory} is not prepared to the end: run data_pipeline.preprocess again, which goes on there')
  return {file.stem: file.read_text(encoding='utf-8').splitlines() for file in files}


@contextlib.contextmanager
def working_in(directory: Path, settings: dict[str, Any]) -> Iterator[None]:
  """Makes a directory for prepared clips, or opens one in order to go on there, for one run at a time.

  What a killed run left half written is removed, and so is what says that the clips are prepared to the end.

  Raises:
    UserError: it holds something else, or clips that were prepared with other settings, or another run works there.
  """
  if (directory / SETTINGS).exists():
    saved = read_settings(directory)
    changed = [f'{key}: {saved.get(key)} -> {settings.get(key)}' for key in settings if saved.get(key) != settings[key]]
    if changed:
      raise UserError(f'{directory} was prepared with other settings ({"; ".join(changed)}): use another --output')
  elif directory.exists() and any(not path.name.startswith((LOCK, SETTINGS)) for path in directory.iterdir()):
    raise UserError(f'{directory} is not empty and holds no prepared clips: use another --output')
  directory.mkdir(parents=True, exist_ok=True)
  with alone_in(directory):
    write_whole(directory / SETTINGS, json.dumps(settings, indent=2) + '\n')
    (directory / FINISHED).unlink(missing_ok=True)
    for stray in directory.glob('clips/**/*.part'):
      stray.unlink()
    yield


def read_settings(directory: Path) -> dict[str, Any]:
  """Reads what clips were prepared with; raises UserError when that is damaged."""
  try:
    settings = json.loads((directory / SETTINGS).read_text())
    if 'layout' in settings:
      return settings
  except (OSError, ValueError, TypeError):
    pass
  raise UserError(f'{directory / SETTINGS} is not there or damaged: prepare the clips again, in another directory')


@contextlib.contextmanager
def _opened(directory: Path, clip: str) -> Iterator[Any]:
  path = clip_file(directory, clip)
  try:
    with path.open('rb') as opened, np.load(opened) as file:
      yield file
  except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
    problem = 'is damaged: delete it' if path.exists() else 'is not there'
    raise UserError(f'{path} {problem}; run data_pipeline.preprocess again to its end') from error


def _summary(file: Any) -> PreparationSummary:
  summary = json.loads(file['summary'].tobytes())
  return PreparationSummary(**summary | {'rejected': [tuple(pair) for pair in summary['rejected']]})


def _record(file: Any, k: int, described: dict[str, Any]) -> dict[str, Any]:
  ends = np.cumsum(file[f'{k}/jpeg_sizes'])
  content = file[f'{k}/jpegs'].tobytes()
  jpegs = [content[end - size : end] for end, size in zip(ends, file[f'{k}/jpeg_sizes'], strict=True)]
  arrays = {name: file[f'{k}/{name}'] for name in ARRAYS}
  mel = mel_of(arrays['audio'])
  arrays['phones'] = arrays['phones'][: len(mel)]  # of a part of a record there may be one more
  return {
    'id': described['id'],
    'speaker': described['speaker'],
    'frames': jpegs,
    'mel': mel,
    **arrays,
  }
