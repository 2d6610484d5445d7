"""One person's videos as a corpus of their own: prepared, and the last fifth of them held out."""

import contextlib
import dataclasses
import io
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from data_pipeline.corpora.folder import folder_dataset_builder
from data_pipeline.preparation import store
from data_pipeline.preparation.cutting import CutSettings
from data_pipeline.preparation.layouts import SUFFIXES, RawClip
from data_pipeline.preparation.local import Cutter, cut_all
from data_pipeline.records import part_of_record
from lpips_jax.core.constants import FRAME_RATE, WINDOW_FRAMES
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import write_whole
from lpips_jax.faces import detect
from lpips_jax.faces.scan import STRIDE
from lpips_jax.media import video_reader
from lpips_jax.media.containers import open_media

CORPUS, TRAINING, HELD_OUT = 'folder', 'train', 'val'  # names of a corpus and its splits, as TFDS has them
HELD_OUT_SHARE = 0.2
GAP = 13  # frames, half a second, between what is trained on and what is held out
LEAST = 20.0  # seconds of a person; a minute or more is wanted
SHORTEST = 15  # frames of a record
PERSON = 'person'  # who speaks in all records
LOOKED_AT = 50  # frames of a video, from which the time that the rest takes is told


@dataclasses.dataclass(frozen=True)
class Person:
  """What was prepared of somebody.

  Attributes:
    training: seconds to train on.
    held_out: seconds that are not seen in training.
    last: of the videos, the one with most of what is held out.
    last_seconds: how long that part is there; it is within the last so many seconds of picture.
  """

  training: float
  held_out: float
  last: Path
  last_seconds: float


def find_videos(given: Sequence[str]) -> list[Path]:
  """Returns videos by the names of files and of directories, whose videos come by their names.

  Raises:
    UserError: something is not there, or no video, or has no sound or picture, or all of them are too short.
  """
  paths: list[Path] = []
  for name in given:
    path = Path(name).expanduser()
    if path.is_dir():
      paths += sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    elif path.exists():
      paths.append(path)
    else:
      raise UserError(f'--video: {name} does not exist')
  if not paths:
    raise UserError(f'--video={",".join(given)}: no video there; they end in {", ".join(SUFFIXES)}')
  seconds = 0.0
  for path in paths:
    info = video_reader.probe(path)
    if info.still:
      raise UserError(f'--video: {path} is a picture: a minute or more of somebody speaking is wanted')
    with open_media(path) as container:
      if not container.streams.audio:
        raise UserError(f'--video: {path} has no sound track: how somebody speaks is learnt from it')
    seconds += LEAST if info.frames is None else float(info.frames / info.rate)
  if seconds < LEAST:
    raise UserError(f'--video is {seconds:.0f} s long: a minute or more is wanted, {LEAST:.0f} s is the least')
  return list(dict.fromkeys(paths))


def preparation_seconds(paths: Sequence[Path], find: detect.Detect) -> float:
  """Estimates how long `prepare` takes with one process, from the first frames of the first video."""
  info = video_reader.probe(paths[0])
  began = time.perf_counter()
  frames = list(itertools.islice(video_reader.read_frames(paths[0], detect.LONGEST_SIDE), LOOKED_AT))
  to_read = (time.perf_counter() - began) / len(frames)
  find(frames[0])  # which may make things first
  began = time.perf_counter()
  find(frames[-1])
  to_look = (time.perf_counter() - began) / max(1, round(STRIDE * info.rate))
  a_frame = 2 * to_read + to_look  # read for boxes, and again for crops
  return a_frame * sum(video_reader.probe(path).frames or LOOKED_AT for path in paths)


def is_prepared(directory: Path) -> bool:
  """Whether `prepare` has come to its end there."""
  return (directory / 'prepared' / store.FINISHED).exists()


def prepare(paths: Sequence[Path], directory: Path, size: int, detector: tuple[str, Path | None]) -> Person:
  """Cuts videos into records, and holds the last fifth of them out: by time, the videos in the order given.

  What was prepared before is not prepared again.

  Args:
    paths: from `find_videos`.
    directory: gets `prepared`, as `data_pipeline.preprocess` leaves it, and `data`, the corpus that TFDS reads.
    size: of the crops, in pixels.
    detector: from `faces.detect.choose_detector`.

  Raises:
    UserError: too little of the videos shows a face and has sound; or the directory holds another person.
  """
  prepared, data = directory / 'prepared', directory / 'data'
  raws = [RawClip(f'{k:04d}', PERSON, TRAINING, path) for k, path in enumerate(paths)]
  settings = {'layout': CORPUS, 'detector': detector[0], 'crop_size': size, 'videos': [_identity(p) for p in paths]}
  _same_person(prepared, settings)
  with store.working_in(prepared, settings):
    todo = [raw for raw in raws if not store.is_done(prepared, raw.id)]
    cutter = Cutter(*detector, CutSettings(size, everybody=False, shortest=SHORTEST))
    workers = min(len(todo), os.cpu_count() or 1) if len(todo) > 1 else 0
    with contextlib.closing(cut_all(todo, cutter, workers)) as outcomes:
      for outcome in outcomes:
        store.write_clip_result(prepared, outcome)
    person = _split(raws, prepared)
  _build(prepared, data)
  return person


def held_out_from(frames: int) -> int:
  """The first held-out one of so many frames."""
  return frames - round(HELD_OUT_SHARE * frames)


def divided(lengths: Sequence[int]) -> Iterator[tuple[str, int, int, int]]:
  """Yields the parts of records, (split, record, first frame, last + 1), for records that follow each other in time.

  Every part begins at a multiple of five frames of its record, where a part of a record may, and is long enough.
  """
  border, begins = held_out_from(sum(lengths)), 0
  for record, length in enumerate(lengths):
    trained = min(max(border - GAP - begins, 0), length)
    held = min(max(border - begins, 0), length)
    held = -(-held // WINDOW_FRAMES) * WINDOW_FRAMES
    for split, first, last in ((TRAINING, 0, trained), (HELD_OUT, held, length)):
      if last - first >= SHORTEST:
        yield split, record, first, last
    begins += length


def _split(raws: Sequence[RawClip], prepared: Path) -> Person:
  """Writes the outcomes of the two splits, from those of the videos."""
  records: list[tuple[RawClip, dict[str, Any]]] = []
  reasons: list[tuple[str, str]] = []
  for raw in raws:
    records += [(raw, record) for record in store.read_records(prepared, raw.id)]
    reasons += [(str(raw.path), reason) for _, reason in store.read_summary(prepared, raw.id).rejected]
  lengths = [len(record['frames']) for _, record in records]
  if sum(lengths) < LEAST * FRAME_RATE:
    why = f'; {reasons[0][0]}: {reasons[0][1]}' if reasons else ''
    raise UserError(
      f'{sum(lengths) / FRAME_RATE:.0f} s of the videos show a face and have sound: a minute or more is wanted, '
      f'{LEAST:.0f} s is the least{why}'
    )
  outcomes = {split: store.ClipResult(split) for split in (TRAINING, HELD_OUT)}
  last_seconds: dict[Path, float] = {}
  for split, k, first, last in divided(lengths):
    raw, record = records[k]
    outcomes[split].records.append(part_of_record(record, first, last, f'{record["id"]}+{first}'))
    outcomes[split].notes.append({})
    if split == HELD_OUT:
      last_seconds[raw.path] = last_seconds.get(raw.path, 0.0) + (last - first) / FRAME_RATE
  for outcome in outcomes.values():
    if not outcome.records:
      raise UserError('the videos show a face for no half a second in a row: give others')
    store.write_clip_result(prepared, outcome)
  store.write_splits(prepared, {split: [split] for split in outcomes})
  write_whole(prepared / store.FINISHED, 'clip,reason\n')
  seconds = {s: sum(len(r['frames']) for r in outcome.records) / FRAME_RATE for s, outcome in outcomes.items()}
  last = max(last_seconds, key=lambda path: last_seconds[path])
  return Person(seconds[TRAINING], seconds[HELD_OUT], last, last_seconds[last])


def _build(prepared: Path, data: Path) -> None:
  """What `data_pipeline.build` does, unless it is done."""
  tfds.disable_progress_bar()
  builder = folder_dataset_builder.Builder(data_dir=str(data), file_format='array_record')
  with contextlib.redirect_stdout(io.StringIO()):  # it speaks of a download
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(prepared)))


def _identity(path: Path) -> list[Any]:
  return [str(path.resolve()), path.stat().st_size]


def _same_person(prepared: Path, settings: dict[str, Any]) -> None:
  """Raises UserError if something else was prepared there: all that follows was made of that."""
  if not (prepared / store.SETTINGS).exists():
    return
  saved = store.read_settings(prepared)
  changed = [name for name in settings if saved.get(name) != settings[name]]
  if changed:
    raise UserError(f'{prepared.parent} was begun with other {", ".join(changed)}: use another --workdir')
