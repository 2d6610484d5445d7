"""Corpus layouts, as their owners distribute them: clips, and the speakers of train, val and test."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NoReturn

from lpips_jax.core.errors import UserError, check_choice

SPLITS = 'pretrain', 'train', 'val', 'test'  # a clip or speaker in two of them stays in the later one
VIDEO_SUFFIXES = '.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.ts', '.mts', '.wmv', '.flv'
MAX_NAME_BYTES = 240  # file systems allow 255, and the files of clips have a suffix
HELD_OUT_SPEAKER_SHARE = 0.05  # for each of val and test, where the corpus has no lists of its own


@dataclass(frozen=True)
class RawClip:
  """A clip of a corpus as it is distributed.

  Attributes:
    id: unique within the corpus, with '/' between its parts.
    speaker: name of the speaker; if the corpus has none, the id.
    split: 'pretrain', 'train', 'val' or 'test'.
    path: a video, or a directory that was prepared for Wav2Lip, with `0.jpg`, `1.jpg`, … and `audio.wav`.
  """

  id: str
  speaker: str
  split: str
  path: Path


def find_clips(layout: str, source: Path) -> tuple[list[RawClip], list[tuple[str, str]]]:
  """Finds the clips of a corpus.

  No clip is in two splits, and no speaker of 'val' or 'test' is in another split ('pretrain' and 'train' may share
  speakers). Where the lists of the corpus overlap, the clip is left out of the earlier split.

  Args:
    layout: 'lrs2', 'lrs3', 'lrw', 'folder' or 'wav2lip'.
    source: the directory of the corpus.

  Returns:
    The clips, sorted by id, and (id, reason) of those that must not be used.

  Raises:
    UserError: there is no such layout or directory, or the directory holds no clip in that layout.
  """
  check_choice('layout', layout, LAYOUTS)
  if not source.is_dir():
    raise UserError(f'{source} is not a directory')
  found = sorted(LAYOUTS[layout](source), key=lambda clip: (clip.id, SPLITS.index(clip.split)))
  if not found:
    raise UserError(
      f'{source} holds no clips of the layout {layout}: python -m data_pipeline.preprocess --help shows the layouts'
    )
  clips, badly_named = _well_named(found)
  clips, leaking = _without_leaks(clips)
  return clips, badly_named + leaking


def _lrs2(source: Path) -> Iterator[RawClip]:
  """Yields `mvlrs_v1/{main,pretrain}/<speaker>/<number>.mp4`; `<speaker>/<number>` is the first column of the lists."""
  root = source / 'mvlrs_v1' if (source / 'mvlrs_v1').is_dir() else source
  for split in SPLITS:
    lists = [file for file in (source / f'{split}.txt', root / f'{split}.txt') if file.is_file()]
    if not lists:
      continue
    folder = 'pretrain' if split == 'pretrain' else 'main'
    for line in _first_column(lists[0]):
      name = line.removeprefix(f'{folder}/')
      yield RawClip(f'{folder}/{name}', name.partition('/')[0], split, root / folder / f'{name}.mp4')


def _lrs3(source: Path) -> Iterator[RawClip]:
  """Yields `{pretrain,trainval,test}/<speaker>/<clip>.mp4`; some speakers of `trainval` are moved to 'val' entirely."""
  found = [(folder, file) for folder in ('pretrain', 'trainval', 'test') for file in source.glob(f'{folder}/*/*.mp4')]
  split_of = _by_speaker({file.parent.name for folder, file in found if folder == 'trainval'}, ('train', 'val'))
  for folder, file in found:
    speaker = file.parent.name
    split = {'trainval': 'train'}.get(folder, folder)
    if folder != 'test' and split_of.get(speaker) == 'val':
      split = 'val'
    yield RawClip(f'{folder}/{speaker}/{file.stem}', speaker, split, file)


def _lrw(source: Path) -> Iterator[RawClip]:
  """Yields `lipread_mp4/<WORD>/{train,val,test}/<WORD>_<n>.mp4`; speakers are unknown, so each clip has its own."""
  root = source / 'lipread_mp4' if (source / 'lipread_mp4').is_dir() else source
  for split in ('train', 'val', 'test'):
    for file in root.glob(f'*/{split}/*.mp4'):
      name = f'{file.parts[-3]}/{split}/{file.stem}'
      yield RawClip(name, name, split, file)


def _folder(source: Path) -> Iterator[RawClip]:
  """Yields videos at any depth; a folder in `source` is a speaker, and so is a video directly in `source`."""
  files = [file for file in _walk(source) if file.suffix.lower() in VIDEO_SUFFIXES]
  names = {file: file.relative_to(source) for file in files}
  speaker_of = {file: name.parts[0] if len(name.parts) > 1 else name.stem for file, name in names.items()}
  split_of = _by_speaker(set(speaker_of.values()), ('train', 'val', 'test'))
  for file, name in names.items():
    yield RawClip(name.as_posix(), speaker_of[file], split_of[speaker_of[file]], file)


def _wav2lip(source: Path) -> Iterator[RawClip]:
  """Yields `<speaker>/<clip>/{0.jpg, …, audio.wav}`; `filelists/{train,val,test}.txt` may lie in it or beside it."""
  found = {path.parent.relative_to(source).as_posix(): path.parent for path in source.glob('*/*/audio.wav')}
  lists = [folder for folder in (source / 'filelists', source.parent / 'filelists') if folder.is_dir()]
  if not lists:
    split_of = _by_speaker({name.partition('/')[0] for name in found}, ('train', 'val', 'test'))
    listed = [(name, split_of[name.partition('/')[0]]) for name in found]
  else:
    files = {split: lists[0] / f'{split}.txt' for split in SPLITS}
    listed = [(name, split) for split, file in files.items() if file.is_file() for name in _first_column(file)]
  for name, split in listed:
    yield RawClip(name, name.partition('/')[0], split, found.get(name, source / name))


LAYOUTS: dict[str, Callable[[Path], Iterator[RawClip]]] = {
  'lrs2': _lrs2,
  'lrs3': _lrs3,
  'lrw': _lrw,
  'folder': _folder,
  'wav2lip': _wav2lip,
}


def _well_named(clips: Sequence[RawClip]) -> tuple[list[RawClip], list[tuple[str, str]]]:
  """Rejects ids that are no usable file names, as results are stored under them: within the output, without clashes."""
  files = {f'{clip.id}.npz' for clip in clips}
  good, refused = [], []
  for clip in clips:
    problem = _problem_of_name(clip.id)
    if not problem and any(str(parent) in files for parent in PurePosixPath(clip.id).parents):
      problem = 'its folder has the name of the file of another clip'
    if problem:
      refused.append((clip.id.encode('utf-8', 'backslashreplace').decode(), problem))
    else:
      good.append(clip)
  return good, refused


def _problem_of_name(name: str) -> str:
  """Returns the problem of an id as a file name, or an empty string."""
  if any(part in ('', '.', '..') for part in name.split('/')):
    return 'not a path within the corpus'
  if not name.isprintable():  # line breaks, and bytes that are not UTF-8
    return 'its name has characters that cannot be printed'
  if max(len(part.encode()) for part in name.split('/')) > MAX_NAME_BYTES:
    return f'its name is longer than {MAX_NAME_BYTES} bytes'
  return ''


def _without_leaks(clips: Iterable[RawClip]) -> tuple[list[RawClip], list[tuple[str, str]]]:
  """Rejects clips whose id or speaker is in a later split, too."""
  by_id: dict[str, RawClip] = {}
  for clip in clips:  # sorted by split: of equal ids, the one in the later split stays
    by_id[clip.id] = clip
  held_out: dict[str, str] = {}  # speaker -> val or test, the later one
  for clip in sorted(by_id.values(), key=lambda clip: SPLITS.index(clip.split)):
    if clip.split in ('val', 'test'):
      held_out[clip.speaker] = clip.split
  kept, refused = [], []
  for clip in by_id.values():
    wanted = held_out.get(clip.speaker, clip.split)
    if wanted == clip.split:
      kept.append(clip)
    else:
      refused.append((clip.id, f'its speaker is in the split {wanted}, too'))
  return kept, refused


def _by_speaker(speakers: set[str], splits: tuple[str, ...]) -> dict[str, str]:
  """Assigns speakers to splits by their names alone: a few, at least one, to each split but the first."""
  ranked = sorted(speakers, key=lambda name: hashlib.sha256(os.fsencode(name)).digest())
  few = max(1, round(HELD_OUT_SPEAKER_SHARE * len(ranked)))
  split_of = dict.fromkeys(ranked, splits[0])
  for k, split in enumerate(splits[1:]):
    for name in ranked[1:][k * few : (k + 1) * few]:  # the first split always keeps one
      split_of[name] = split
  return split_of


def _first_column(file: Path) -> list[str]:
  try:
    lines = file.read_text(encoding='utf-8-sig').splitlines()
  except UnicodeDecodeError as error:
    raise UserError(f'{file} is not a list of clips in UTF-8') from error
  return [line.split()[0].removesuffix('.mp4') for line in lines if line.strip()]


def _walk(source: Path) -> Iterator[Path]:
  """Yields all files but hidden ones; links to directories are followed, each directory once."""
  seen = set()
  for folder, folders, files in os.walk(source, onerror=_refuse, followlinks=True):
    real = os.path.realpath(folder)
    if real in seen:
      folders.clear()
      continue
    seen.add(real)
    yield from (Path(folder, name) for name in files if not name.startswith('.'))


def _refuse(error: OSError) -> NoReturn:
  raise UserError(f'{error.filename} cannot be read: {error.strerror}')
