"""Wav2Lip's protocol (Prajwal et al., arXiv 2008.10010, section 4): a list pairs faces with other people's words.

As in `evaluation/gen_videos_from_filelist.py` of its release, a pair has as many frames as there are whole windows of
speech, which end 0.2 s before the words do; a pair is left out if its face has fewer frames, or is not seen in each of
them. The differences:
- YuNet, or the cascade, finds the face, not S3FD; a frame lacks a face if none is found in it nor followed from the
  frames beside it; and boxes are those of dubbing, not S3FD's means over five frames;
- windows of speech begin where the generator was trained to have them (`config.data.lead`), at the level that it wants;
- faces at other than 25 frames a second keep their times, and are not taken for 25;
- files are as long as the words, and encoded once; the part after the last whole window is not scored;
- LSE is measured on the square that SyncNet's pipeline cuts around a box of ours, for all lists. The release's script
  for LRS2, LRS3 and LRW shows SyncNet whole frames, and the other one squares around S3FD's boxes, smoothed and encoded
  again.
"""

import dataclasses
import threading
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from lpips_jax.core.constants import MEL_HOP, MEL_RATE, MEL_WINDOW
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, shown
from lpips_jax.dubbing import Dubber, Options
from lpips_jax.dubbing.boxes import read_boxes
from lpips_jax.evaluation import videos
from lpips_jax.evaluation.candidates import MakeCandidate
from lpips_jax.evaluation.protocols import Protocol
from lpips_jax.evaluation.scoring import WorkItem
from lpips_jax.evaluation.systems import FILMED
from lpips_jax.media import video_reader
from lpips_jax.media.speech import load_speech
from lpips_jax.pretrained import Exported, Pretrained
from lpips_jax.storage.staging import staged
from lpips_jax.storage.transfer import local_input

VIDEO_SUFFIX = '.mp4'  # of names in a list that have none, and of dubbed videos
BOXES_SUFFIX = '.json'  # of the files beside dubbed videos that say where the face was
SCORES_VERSION = 2  # a higher number whenever scores change their meaning


class Pair(NamedTuple):
  """The files of a line: the words, and the face that is to speak them."""

  audio: Path
  face: Path


def read_pairs(path: PathLike, root: PathLike, limit: int | None) -> dict[str, Pair]:
  """Reads a list that names in each line a sound and a face.

  Args:
    path: the list, or its URL.
    root: the directory that the names are relative to; `.mp4` may be left out of them. Of a URL the files in the list
      are copied to this machine.
    limit: the number of lines; all if it is None.

  Returns:
    The pairs by their place in the list, `00000` and so on, as Wav2Lip names the videos that it makes of them.

  Raises:
    UserError: the file is no such list, or names a file that does not exist.
  """
  try:
    with local_input(path) as file:
      lines = [line.split() for line in file.read_text().splitlines() if line.strip()]
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(
      f'the list {path} cannot be read: {getattr(error, "strerror", None) or "it is not text"}'
    ) from error
  if not lines:
    raise UserError(f'the list {path} has no lines')
  listed = {f'{name}{suffix}' for line in lines[:limit] for name in line for suffix in ('', VIDEO_SUFFIX)}
  directory = staged(root, lambda names: names & listed)
  pairs = {}
  for number, line in enumerate(lines[:limit]):
    if len(line) != 2:
      raise UserError(f'{path} line {number + 1} is not "audio video": {" ".join(line)[:80]}')
    pairs[f'{number:05d}'] = Pair(*(_file(directory, name, path, number) for name in line))
  return pairs


def protocol(
  pairs: Mapping[str, Pair],
  generators: Mapping[str, Pretrained | Exported],
  directory: Path,
  ready: Mapping[str, Path],
  image_size: int,
  detector: str = 'auto',
  detector_model: PathLike | None = None,
) -> Protocol:
  """Returns the evaluation of dubbed pairs, scored as ready videos are, beside the faces as they were filmed.

  Args:
    pairs: from `read_pairs`.
    generators: dub the pairs, by name.
    directory: gets their videos: `NAME-FINGERPRINT/00000.mp4`, and beside each the places of the face; videos that
      exist are not made again.
    ready: directories with what others made of the list, by name; their videos are called `00000`, or `0`, and so on.
    image_size: side of the crops that are scored, in pixels.
    detector, detector_model: see `faces.detect.make_detector`.
  """
  make_detect = videos.detector_maker(detector, detector_model)
  reader = _PairReader(make_detect, image_size, Options(detector=detector, detector_model=detector_model))
  dubbers = {name: Dubber(generator, progress=False) for name, generator in generators.items()}
  ready_videos = {name: _videos_by_place(pairs, where) for name, where in ready.items()}
  items = []
  for place, pair in pairs.items():
    for name, generator in generators.items():
      path = directory / f'{name}-{generator.fingerprint}' / f'{place}{VIDEO_SUFFIX}'
      items.append(WorkItem(place, (name,), partial(reader.dub, name, dubbers[name], pair, path)))
    for name, paths in ready_videos.items():
      if place in paths:
        items.append(WorkItem(place, (name,), partial(reader.read, name, pair, paths[place])))
    filmed = partial(videos.makers, FILMED, pair.face, make_detect, image_size)
    items.append(WorkItem(place, (FILMED,), filmed))
  files = videos.file_states(sorted({path for pair in pairs.values() for path in pair}))
  shared = [files, detector, SCORES_VERSION]
  systems = {name: [*shared, generator.fingerprint] for name, generator in generators.items()}
  systems |= {name: [*shared, videos.file_states([*paths.values()])] for name, paths in ready_videos.items()}
  systems[FILMED] = [files, detector]
  description = {'pairs': len(pairs), 'videos': {name: shown(str(path)) for name, path in ready.items()}}
  return Protocol(items, systems, description, partial(videos.write_samples, items, tuple(systems)))


def frames_of_speech(mel_frames: int, rate: Fraction) -> int:
  """Returns how many frames of video have a whole window of speech: frame i's begins at mel frame floor(80 i / rate).

  Args:
    mel_frames: of the words.
    rate: frames of video a second.
  """
  return max(0, -((MEL_WINDOW - 1 - mel_frames) * Fraction(rate) // MEL_RATE))


class _PairReader:
  """Reads the videos that generators and others made of pairs, for `WorkItem`s in several threads."""

  def __init__(self, make_detect: videos.MakeDetect, image_size: int, options: Options):
    self._make_detect, self._image_size, self._options = make_detect, image_size, options
    self._dub_alone = threading.Lock()  # a single dub keeps all cores busy
    self._frames_of = cache(_frames_of)

  def read(self, name: str, pair: Pair, path: Path) -> dict[str, MakeCandidate]:
    """Reads the video of a system, as far as there are whole windows of speech."""
    return videos.makers(name, path, self._make_detect, self._image_size, frames=self._frames_of(pair))

  def dub(self, name: str, dubber: Dubber, pair: Pair, path: Path) -> dict[str, MakeCandidate]:
    """Dubs a pair, unless that is done, and reads the video; raises UserError for a pair that is left out."""
    frames = self._frames_of(pair)
    with self._dub_alone:
      _dub(dubber, pair, frames, path, self._options)
    return self.read(name, pair, path)


def _frames_of(pair: Pair) -> int:
  return frames_of_speech(1 + len(load_speech(pair.audio)) // MEL_HOP, video_reader.probe(pair.face).rate)


def _dub(dubber: Dubber, pair: Pair, frames: int, path: Path, options: Options) -> None:
  """Dubs a pair, unless that is done; raises UserError for one that the protocol leaves out."""
  boxes = path.with_suffix(BOXES_SUFFIX)
  if not (boxes.is_file() and (path.is_file() or not _seen_throughout(boxes, frames))):
    if not frames:
      raise UserError('the words are shorter than 0.2 s')
    if video_reader.count_frames(pair.face, frames) < frames:
      raise UserError('the face is shorter than the words')
    path.parent.mkdir(parents=True, exist_ok=True)
    dubber.dub(pair.face, pair.audio, path, dataclasses.replace(options, save_boxes=boxes))
  if not _seen_throughout(boxes, frames):
    path.unlink(missing_ok=True)
    raise UserError('the face is not seen in every frame')


def _seen_throughout(boxes: Path, frames: int) -> bool:
  return all(read_boxes(boxes)[:frames])


def _videos_by_place(places: Iterable[str], directory: Path) -> dict[str, Path]:
  by_number = {int(name): path for name, path in videos.find_videos(directory).items() if name.isdigit()}
  return {place: by_number[int(place)] for place in places if int(place) in by_number}


def _file(root: Path, name: str, path: PathLike, number: int) -> Path:
  for file in (root / name, root / f'{name}{VIDEO_SUFFIX}'):
    if file.is_file():
      return file
  raise UserError(f'{path} line {number + 1} names {name}, which is not in {root}')
