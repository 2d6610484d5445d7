"""Corpus layouts, as their owners distribute them: clips, and the speakers of train, val and test."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_pipeline.preparation.sources import Source, open_source
from lpips_jax.core.errors import UserError, check_choice
from lpips_jax.core.files import PathLike
from lpips_jax.storage import files
from lpips_jax.storage.places import join

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
    path: a video, or a directory that was prepared for Wav2Lip, with `0.jpg`, `1.jpg`, … and `audio.wav`; or its URL.
    transcript: the file that says what is said, if there may be one, or its URL; see `preparation.transcripts`.
    text: what is said, where the names of the files say so.
  """

  id: str
  speaker: str
  split: str
  path: Path | str
  transcript: Path | str | None = None
  text: str = ''


def find_clips(layout: str, source: PathLike) -> tuple[list[RawClip], list[tuple[str, str]]]:
  """Finds the clips of a corpus.

  No clip is in two splits, and no speaker of 'val' or 'test' is in another split ('pretrain' and 'train' may share
  speakers). Where the lists of the corpus overlap, the clip is left out of the earlier split.

  Args:
    layout: 'lrs2', 'lrs3', 'lrw', 'folder' or 'wav2lip'.
    source: the directory of the corpus, or its URL.

  Returns:
    The clips, sorted by id, and (id, reason) of those that must not be used.

  Raises:
    UserError: there is no such layout or directory, or the directory holds no clip in that layout.
  """
  check_choice('layout', layout, LAYOUTS)
  found = sorted(LAYOUTS[layout](open_source(source)), key=lambda clip: (clip.id, SPLITS.index(clip.split)))
  if not found:
    raise UserError(
      f'{source} holds no clips of the layout {layout}: python -m data_pipeline.preprocess --help shows the layouts'
    )
  clips, badly_named = _well_named(found)
  clips, leaking = _without_leaks(clips)
  return clips, badly_named + leaking


def _lrs2(source: Source) -> Iterator[RawClip]:
  """Yields `mvlrs_v1/{main,pretrain}/<speaker>/<number>.mp4`; `<speaker>/<number>` is the first column of the lists.

  What is said lies beside the video, in `<number>.txt`.
  """
  root = 'mvlrs_v1/' if source.has_directory('mvlrs_v1') else ''
  for split in SPLITS:
    folder = 'pretrain' if split == 'pretrain' else 'main'
    lists = _first_column(source.path(f'{split}.txt')), _first_column(source.path(f'{root}{split}.txt'))
    for line in next((names for names in lists if names is not None), []):
      name = line.removeprefix(f'{folder}/')
      file = source.path(f'{root}{folder}/{name}.mp4')
      yield RawClip(f'{folder}/{name}', name.partition('/')[0], split, file, _beside(file))


def _lrs3(source: Source) -> Iterator[RawClip]:
  """Yields `{pretrain,trainval,test}/<speaker>/<clip>.mp4`; some speakers of `trainval` are moved to 'val' entirely.

  What is said lies beside the video, in `<clip>.txt`.
  """
  folders = 'pretrain', 'trainval', 'test'
  found = [PurePosixPath(name) for folder in folders for name in source.matching(f'{folder}/*/*.mp4')]
  split_of = _by_speaker({name.parts[1] for name in found if name.parts[0] == 'trainval'}, ('train', 'val'))
  for name in found:
    folder, speaker, _ = name.parts
    split = {'trainval': 'train'}.get(folder, folder)
    if folder != 'test' and split_of.get(speaker) == 'val':
      split = 'val'
    file = source.path(str(name))
    yield RawClip(f'{folder}/{speaker}/{name.stem}', speaker, split, file, _beside(file))


def _lrw(source: Source) -> Iterator[RawClip]:
  """Yields `lipread_mp4/<WORD>/{train,val,test}/<WORD>_<n>.mp4`; speakers are unknown, so each clip has its own.

  Its text is the word, although those around it are heard, too.
  """
  root = 'lipread_mp4/' if source.has_directory('lipread_mp4') else ''
  for split in ('train', 'val', 'test'):
    for file in source.matching(f'{root}*/{split}/*.mp4'):
      name = file.removeprefix(root).removesuffix('.mp4')
      yield RawClip(name, name, split, source.path(file), text=name.partition('/')[0])


def _folder(source: Source) -> Iterator[RawClip]:
  """Yields videos at any depth; a folder in `source` is a speaker, and so is a video directly in `source`.

  What is said may lie beside a video, in a .txt of the same name.
  """
  files_there = [PurePosixPath(name) for name in source.everything()]
  names = [name for name in files_there if name.suffix.lower() in VIDEO_SUFFIXES]
  texts = {name for name in files_there if name.suffix == '.txt'}
  speaker_of = {name: name.parts[0] if len(name.parts) > 1 else name.stem for name in names}
  split_of = _by_speaker(set(speaker_of.values()), ('train', 'val', 'test'))
  for name, speaker in speaker_of.items():
    file, text = source.path(str(name)), name.with_suffix('.txt')
    yield RawClip(str(name), speaker, split_of[speaker], file, source.path(str(text)) if text in texts else None)


def _wav2lip(source: Source) -> Iterator[RawClip]:
  """Yields `<speaker>/<clip>/{0.jpg, …, audio.wav}`; `filelists/{train,val,test}.txt` may lie in it or beside it."""
  listed = _wav2lip_lists(source.directory) or _wav2lip_lists(os.path.dirname(source.directory))
  if not listed:
    found = [name.removesuffix('/audio.wav') for name in source.matching('*/*/audio.wav')]
    split_of = _by_speaker({name.partition('/')[0] for name in found}, ('train', 'val', 'test'))
    listed = [(name, split_of[name.partition('/')[0]]) for name in found]
  for name, split in listed:
    yield RawClip(name, name.partition('/')[0], split, source.path(name))


LAYOUTS: dict[str, Callable[[Source], Iterator[RawClip]]] = {
  'lrs2': _lrs2,
  'lrs3': _lrs3,
  'lrw': _lrw,
  'folder': _folder,
  'wav2lip': _wav2lip,
}


def _beside(video: Path | str) -> Path | str:
  """Returns the path or URL of the transcript of a video `<name>.mp4`, which may be missing."""
  transcript = str(video).removesuffix('.mp4') + '.txt'
  return transcript if isinstance(video, str) else Path(transcript)


def _well_named(clips: Sequence[RawClip]) -> tuple[list[RawClip], list[tuple[str, str]]]:
  """Rejects ids that are no usable file names, as results are stored under them: within the output, without clashes."""
  stored = {f'{clip.id}.npz' for clip in clips}
  good, refused = [], []
  for clip in clips:
    problem = _problem_of_name(clip.id)
    if not problem and any(str(parent) in stored for parent in PurePosixPath(clip.id).parents):
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


def _wav2lip_lists(directory: PathLike) -> list[tuple[str, str]]:
  """Returns the clips and splits of the lists in `filelists`; none if there are no lists."""
  lists = {split: _first_column(join(directory, f'filelists/{split}.txt')) for split in SPLITS}
  return [(name, split) for split, names in lists.items() for name in names or ()]


def _first_column(file: PathLike) -> list[str] | None:
  """Returns the first column of a list of clips; None if there is no such file."""
  content = files.read(file)
  if content is None:
    return None
  try:
    lines = content.decode('utf-8-sig').splitlines()
  except UnicodeDecodeError as error:
    raise UserError(f'{file} is not a list of clips in UTF-8') from error
  return [line.split()[0].removesuffix('.mp4') for line in lines if line.strip()]
