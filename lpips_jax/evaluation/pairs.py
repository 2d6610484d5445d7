"""Wav2Lip's protocol (Prajwal et al., arXiv 2008.10010, section 4): a list says who is to speak whose words.

As in `evaluation/gen_videos_from_filelist.py` of its release, a pair has as many frames as there are whole windows of
speech, which end 0.2 s before the words do; a pair is left out whose face has fewer frames, or is not seen in each of
them. Where this differs:
- the face is sought by YuNet, or the cascade, not by S3FD; a frame lacks a face where it is neither found nor followed
  from the frames beside it; and boxes are those of dubbing, not S3FD's means over five frames;
- windows of speech begin where the generator was trained to have them (`config.data.lead`), at the level that it wants;
- faces at other than 25 frames a second keep their times, and are not taken for 25;
- files are as long as the words, and encoded once; what comes after the last whole window is not judged;
- LSE is measured on the square that SyncNet's pipeline cuts around a box of ours, of all lists. The release's script
  for LRS2, LRS3 and LRW shows SyncNet whole frames, and the other one squares around S3FD's boxes, smoothed and encoded
  anew.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from lpips_jax.audio.mel import HOP, MEL_RATE, WINDOW
from lpips_jax.core.errors import UserError
from lpips_jax.dubbing import Dubber, Options
from lpips_jax.dubbing.boxes import read_boxes
from lpips_jax.evaluation import videos
from lpips_jax.evaluation.scoring import Protocol, WorkItem
from lpips_jax.evaluation.systems import FILMED, MakeCandidate
from lpips_jax.media import video_reader
from lpips_jax.media.speech import load_speech

SUFFIX = '.mp4'  # of what a list names without one
BOXES = '.json'  # of where the face was, beside what was dubbed
SCORES = 2  # a higher number, when scores come to mean more


class Pair(NamedTuple):
  """The files of a line."""

  audio: Path
  face: Path


def read_pairs(path: Path, root: Path, limit: int | None) -> dict[str, Pair]:
  """Reads a list: in each line a sound and a face, relative to a directory, `.mp4` left out or not.

  Returns:
    The pairs by their place in the list, `00000` and so on, as which Wav2Lip names what it makes of them.

  Raises:
    UserError: the file is no such list, or names a file that is not there.
  """
  try:
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(
      f'the list {path} cannot be read: {getattr(error, "strerror", None) or "it is not text"}'
    ) from error
  if not lines:
    raise UserError(f'the list {path} has no lines')
  pairs = {}
  for number, line in enumerate(lines[:limit]):
    if len(line) != 2:
      raise UserError(f'{path} line {number + 1} is not "audio video": {" ".join(line)[:80]}')
    pairs[f'{number:05d}'] = Pair(*(_file(root, name, path, number) for name in line))
  return pairs


def protocol(
  pairs: Mapping[str, Pair],
  generators: Mapping[str, Callable[..., Any]],
  directory: Path,
  ready: Mapping[str, Path],
  detector: Mapping[str, Any],
  image_size: int,
) -> Protocol:
  """What generators, and others, make of pairs, scored as ready videos are; and the faces as they were filmed.

  Args:
    pairs: of `read_pairs`.
    generators: by name.
    directory: gets their videos: `NAME-FINGERPRINT/00000.mp4`, and beside each where its face was; those that are there
      are not made again.
    ready: directories with what others made of the list, by name; the videos are called `00000`, or `0`, and so on.
    detector: `detector` and `detector_model`, of `dub` and of `faces.detect.make_detector`.
    image_size: of the crops that are judged, in pixels.
  """
  make_find, options = videos.detector_maker(**detector), Options(**detector)
  dubbers = {name: Dubber(generator, progress=False) for name, generator in generators.items()}
  alone = threading.Lock()  # videos are read in several threads, and a dub takes all cores by itself
  frames_of = cache(_frames)

  def dubbed(name: str, pair: Pair, path: Path) -> dict[str, MakeCandidate]:
    frames = frames_of(pair)
    with alone:
      _dub(dubbers[name], pair, frames, path, options)
    return videos.makers(name, path, make_find, image_size, frames=frames)

  def made_by_others(name: str, pair: Pair, path: Path) -> dict[str, MakeCandidate]:
    return videos.makers(name, path, make_find, image_size, frames=frames_of(pair))

  found = {name: _by_place(pairs, where) for name, where in ready.items()}
  entries = []
  for place, pair in pairs.items():
    for name, generator in generators.items():
      path = directory / f'{name}-{generator.fingerprint}' / f'{place}{SUFFIX}'
      entries.append(WorkItem(place, (name,), partial(dubbed, name, pair, path)))
    for name, paths in found.items():
      if place in paths:
        entries.append(WorkItem(place, (name,), partial(made_by_others, name, pair, paths[place])))
    entries.append(WorkItem(place, (FILMED,), partial(videos.makers, FILMED, pair.face, make_find, image_size)))
  files = videos.file_states(sorted({path for pair in pairs.values() for path in pair}))
  judged = [files, detector['detector'], SCORES]
  rests_on = {name: [*judged, generator.fingerprint] for name, generator in generators.items()}
  rests_on |= {name: [*judged, videos.file_states([*paths.values()])] for name, paths in found.items()}
  rests_on[FILMED] = [files, detector['detector']]
  described = {'pairs': len(pairs), 'videos': {name: str(path) for name, path in ready.items()}}
  return Protocol(entries, rests_on, described, partial(videos.write_samples, entries, tuple(rests_on)))


def frames_of_speech(mel_frames: int, rate: Fraction) -> int:
  """Returns how many frames of video have a whole window of speech: frame i's begins at mel frame floor(80 i / rate).

  Args:
    mel_frames: of the words.
    rate: frames of video a second.
  """
  return max(0, -((WINDOW - 1 - mel_frames) * Fraction(rate) // MEL_RATE))


def _frames(pair: Pair) -> int:
  return frames_of_speech(1 + len(load_speech(pair.audio)) // HOP, video_reader.probe(pair.face).rate)


def _dub(dubber: Dubber, pair: Pair, frames: int, path: Path, options: Options) -> None:
  """Dubs a pair, unless that is done; raises UserError for one that the protocol leaves out."""
  boxes = path.with_suffix(BOXES)
  if not (boxes.is_file() and (path.is_file() or not _seen(boxes, frames))):
    if not frames:
      raise UserError('the words are shorter than 0.2 s')
    if video_reader.count_frames(pair.face, frames) < frames:
      raise UserError('the face is shorter than the words')
    path.parent.mkdir(parents=True, exist_ok=True)
    dubber.dub(pair.face, pair.audio, path, dataclasses.replace(options, save_boxes=boxes))
  if not _seen(boxes, frames):
    path.unlink(missing_ok=True)
    raise UserError('the face is not seen in every frame')


def _seen(boxes: Path, frames: int) -> bool:
  return all(read_boxes(boxes)[:frames])


def _by_place(places: Iterable[str], directory: Path) -> dict[str, Path]:
  by_number = {int(name): path for name, path in videos.find_videos(directory).items() if name.isdigit()}
  return {place: by_number[int(place)] for place in places if int(place) in by_number}


def _file(root: Path, name: str, path: Path, number: int) -> Path:
  for candidate in (root / name, root / f'{name}{SUFFIX}'):
    if candidate.is_file():
      return candidate
  raise UserError(f'{path} line {number + 1} names {name}, which is not in {root}')
