"""A corpus of one person: their videos, prepared for training, with the last fifth held out."""

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
from data_pipeline.preparation.layouts import VIDEO_SUFFIXES, RawClip
from data_pipeline.preparation.local import Cutter, cut_all
from data_pipeline.records import part_of_record
from lpips_jax.core.constants import FRAME_RATE, WINDOW_FRAMES
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import shown, write_whole
from lpips_jax.faces import detect
from lpips_jax.faces.scan import DETECTION_STRIDE
from lpips_jax.media import video_reader
from lpips_jax.media.containers import open_media

CORPUS, TRAIN_SPLIT, HELD_OUT_SPLIT = 'folder', 'train', 'val'  # the corpus and its splits in TFDS
HELD_OUT_SHARE = 0.2
GAP_FRAMES = 13  # half a second, left out between the training and the held-out part
MIN_SECONDS = 20.0  # of usable video; a minute or more is recommended
MIN_RECORD_FRAMES = 15
SPEAKER = 'person'  # of all records
TIMED_FRAMES = 50  # of a video, from which the time for the rest is estimated


@dataclasses.dataclass(frozen=True)
class PersonalCorpus:
  """The prepared videos of a person.

  Attributes:
    training_seconds: length of the training split.
    held_out_seconds: length of the held-out split.
    held_out_video: the video with most of the held-out split.
    held_out_video_seconds: length of the held-out part at the end of that video.
  """

  training_seconds: float
  held_out_seconds: float
  held_out_video: Path
  held_out_video_seconds: float


def find_videos(video: Sequence[str]) -> list[Path]:
  """Returns the videos at paths, those of a directory sorted by name, each video once.

  Args:
    video: paths of files and directories.

  Raises:
    UserError: a path does not exist, is not a video, has no sound or picture, or all videos together are too short.
  """
  paths: list[Path] = []
  for name in video:
    path = Path(name).expanduser()
    if path.is_dir():
      paths += sorted(file for file in path.iterdir() if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file())
    elif path.exists():
      paths.append(path)
    else:
      raise UserError(f'video: {name} does not exist', 'video')
  if not paths:
    raise UserError(f'video={",".join(video)} holds no video; videos end in {", ".join(VIDEO_SUFFIXES)}', 'video')
  seconds = 0.0
  for path in paths:
    info = video_reader.probe(path)
    if info.still:
      raise UserError(f'video: {path} is a picture: give a minute or more of somebody speaking', 'video')
    with open_media(path) as container:
      if not container.streams.audio:
        raise UserError(f'video: {path} has no sound track, from which their way of speaking is learnt', 'video')
    seconds += MIN_SECONDS if info.frames is None else float(info.frames / info.rate)
  if seconds < MIN_SECONDS:
    raise UserError(f'video is {seconds:.0f} s long: give a minute or more, at least {MIN_SECONDS:.0f} s', 'video')
  return list(dict.fromkeys(paths))


def preparation_seconds(paths: Sequence[Path], find: detect.Detect) -> float:
  """Estimates the seconds that `prepare` takes in one process, from the first frames of the first video."""
  info = video_reader.probe(paths[0])
  began = time.perf_counter()
  frames = list(itertools.islice(video_reader.read_frames(paths[0], detect.DETECTION_SIDE), TIMED_FRAMES))
  reading = (time.perf_counter() - began) / len(frames)
  find(frames[0])  # the first call may have to set things up
  began = time.perf_counter()
  find(frames[-1])
  detecting = (time.perf_counter() - began) / max(1, round(DETECTION_STRIDE * info.rate))
  per_frame = 2 * reading + detecting  # each frame is read for the boxes, and again for the crops
  return per_frame * sum(video_reader.probe(path).frames or TIMED_FRAMES for path in paths)


def is_prepared(directory: Path) -> bool:
  """Returns whether `prepare` has finished in this directory."""
  return (directory / 'prepared' / store.FINISHED).exists()


def prepare(paths: Sequence[Path], directory: Path, size: int, detector: tuple[str, Path | None]) -> PersonalCorpus:
  """Cuts videos into records and holds out the last fifth of their time, in the order given.

  Videos that were prepared before are not prepared again.

  Args:
    paths: from `find_videos`.
    directory: for `prepared`, the output of `data_pipeline.preprocess`, and `data`, the TFDS corpus.
    size: side of the crops, in pixels.
    detector: from `faces.detect.choose_detector`.

  Raises:
    UserError: too little of the videos shows a face and has sound; or the directory was prepared from other videos.
  """
  prepared, data = directory / 'prepared', directory / 'data'
  raws = [RawClip(f'{k:04d}', SPEAKER, TRAIN_SPLIT, path) for k, path in enumerate(paths)]
  settings = {'layout': CORPUS, 'detector': detector[0], 'crop_size': size, 'videos': [_identity(p) for p in paths]}
  _check_settings(prepared, settings)
  with store.working_in(prepared, settings):
    todo = [raw for raw in raws if not store.is_done(prepared, raw.id)]
    cutter = Cutter(*detector, CutSettings(size, everybody=False, min_frames=MIN_RECORD_FRAMES))
    workers = min(len(todo), os.cpu_count() or 1) if len(todo) > 1 else 0
    with contextlib.closing(cut_all(todo, cutter, workers)) as results:
      for result in results:
        store.write_clip_result(prepared, result)
    corpus = _write_split_records(raws, prepared)
  _build_corpus(prepared, data)
  return corpus


def first_held_out_frame(frames: int) -> int:
  """Returns the index of the first held-out one of `frames` frames."""
  return frames - round(HELD_OUT_SHARE * frames)


def split_in_time(lengths: Sequence[int]) -> Iterator[tuple[str, int, int, int]]:
  """Divides records that follow each other in time into a training and a held-out part.

  Every part starts at a multiple of five frames of its record, as `part_of_record` needs it; short parts are left out.

  Args:
    lengths: frames of each record.

  Yields:
    (split, index of the record, first frame, last frame + 1).
  """
  border, begins = first_held_out_frame(sum(lengths)), 0
  for record, length in enumerate(lengths):
    trained = min(max(border - GAP_FRAMES - begins, 0), length)
    held = min(max(border - begins, 0), length)
    held = -(-held // WINDOW_FRAMES) * WINDOW_FRAMES
    for split, first, last in ((TRAIN_SPLIT, 0, trained), (HELD_OUT_SPLIT, held, length)):
      if last - first >= MIN_RECORD_FRAMES:
        yield split, record, first, last
    begins += length


def _write_split_records(raws: Sequence[RawClip], prepared: Path) -> PersonalCorpus:
  """Writes the records of the videos again, as two clips: the training and the held-out split."""
  records: list[tuple[RawClip, dict[str, Any]]] = []
  reasons: list[tuple[str, str]] = []
  for raw in raws:
    records += [(raw, record) for record in store.read_records(prepared, raw.id)]
    reasons += [(str(raw.path), reason) for _, reason in store.read_summary(prepared, raw.id).rejected]
  lengths = [len(record['frames']) for _, record in records]
  if sum(lengths) < MIN_SECONDS * FRAME_RATE:
    why = f'; {reasons[0][0]}: {reasons[0][1]}' if reasons else ''
    raise UserError(
      f'{sum(lengths) / FRAME_RATE:.0f} s of the videos show a face and have sound: give a minute or more, '
      f'at least {MIN_SECONDS:.0f} s{why}'
    )
  results = {split: store.ClipResult(split) for split in (TRAIN_SPLIT, HELD_OUT_SPLIT)}
  held_out_seconds: dict[Path, float] = {}
  for split, k, first, last in split_in_time(lengths):
    raw, record = records[k]
    results[split].records.append(part_of_record(record, first, last, f'{record["id"]}+{first}'))
    results[split].notes.append({})
    if split == HELD_OUT_SPLIT:
      path = Path(raw.path)
      held_out_seconds[path] = held_out_seconds.get(path, 0.0) + (last - first) / FRAME_RATE
  for result in results.values():
    if not result.records:
      raise UserError('the videos never show a face for half a second in a row: give others')
    store.write_clip_result(prepared, result)
  store.write_splits(prepared, {split: [split] for split in results})
  write_whole(prepared / store.FINISHED, 'clip,reason\n')
  seconds = {s: sum(len(r['frames']) for r in result.records) / FRAME_RATE for s, result in results.items()}
  video = max(held_out_seconds, key=lambda path: held_out_seconds[path])
  return PersonalCorpus(seconds[TRAIN_SPLIT], seconds[HELD_OUT_SPLIT], video, held_out_seconds[video])


def _build_corpus(prepared: Path, data: Path) -> None:
  """Builds the TFDS corpus, as `data_pipeline.build` does, unless it exists."""
  tfds.disable_progress_bar()
  builder = folder_dataset_builder.Builder(data_dir=str(data), file_format='array_record')
  with contextlib.redirect_stdout(io.StringIO()):  # TFDS reports a download
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(prepared)))


def _identity(path: Path) -> list[Any]:
  return [shown(str(path.resolve())), path.stat().st_size]


def _check_settings(prepared: Path, settings: dict[str, Any]) -> None:
  """Raises UserError if the directory was prepared from other videos or with other settings."""
  if not (prepared / store.SETTINGS).exists():
    return
  saved = store.read_settings(prepared)
  changed = [name for name in settings if saved.get(name) != settings[name]]
  if changed:
    raise UserError(f'{prepared.parent} was begun with other {", ".join(changed)}: use another directory')
