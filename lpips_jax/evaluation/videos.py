"""The protocol of ready videos, whoever made them: the face is found, followed and cut out for each of the scorers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from lpips_jax.audio.loudness import mel_of
from lpips_jax.core.constants import MEL_BANDS, SAMPLES_PER_FRAME
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike, shown
from lpips_jax.evaluation import samples
from lpips_jax.evaluation.candidates import Candidate, MakeCandidate
from lpips_jax.evaluation.protocols import Protocol
from lpips_jax.evaluation.scoring import WorkItem, key_of
from lpips_jax.evaluation.systems import FILMED
from lpips_jax.faces import cropping
from lpips_jax.faces.detect import Detect, choose_detector, make_detector
from lpips_jax.faces.segments import Segment, find_segments, read_segments
from lpips_jax.media import pictures
from lpips_jax.models.syncnet import IMAGE_SIZE as SYNCNET_SIZE

VIDEO_SUFFIXES = '.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg'
SYNCNET_MARGIN = 0.4  # of the face's longer side, by which the squares of SyncNet's pipeline reach out to the sides
SYNCNET_GREY = 110  # of those squares beyond the picture
PICTURE_COLUMNS = 8  # frames of a clip
MakeDetect = Callable[[], Detect]


def find_videos(directory: Path) -> dict[str, Path]:
  """Returns the videos below a directory by name: their path in it, without the suffix.

  Raises:
    UserError: there is no video, or no directory.
  """
  if not directory.is_dir():
    raise UserError(f'{directory} is no directory of videos')
  found = {
    path.relative_to(directory).with_suffix('').as_posix(): path
    for path in sorted(directory.rglob('*'))
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
  }
  if not found:
    raise UserError(f'{directory} holds no video ({", ".join(VIDEO_SUFFIXES)})')
  return found


def videos_among(names: set[str]) -> set[str]:
  """Returns those names of files that videos have."""
  return {name for name in names if Path(name).suffix.lower() in VIDEO_SUFFIXES}


def protocol(
  directories: Mapping[str, Path],
  truth: Path | None,
  image_size: int,
  limit: int | None = None,
  detector: str = 'auto',
  detector_model: PathLike | None = None,
) -> Protocol:
  """Returns the evaluation of directories of ready videos, in which videos of one name are of one clip.

  Args:
    directories: of each system.
    truth: a directory of filmed videos, if the frames of the others should look like them.
    image_size: side of the crops that are scored, in pixels.
    limit: the number of clips; all by default.
    detector, detector_model: see `faces.detect.make_detector`.

  Raises:
    UserError: a directory holds no video, or there is no such detector.
  """
  videos = {name: find_videos(directory) for name, directory in directories.items()}
  truths = {} if truth is None else find_videos(truth)
  names = sorted({name for of_system in videos.values() for name in of_system})[:limit]
  if truth is not None:
    videos[FILMED] = {name: path for name, path in truths.items() if name in names}
  make_detect = detector_maker(detector, detector_model)
  items = [
    WorkItem(name, (system,), partial(makers, system, of_system[name], make_detect, image_size, truths.get(name)))
    for name in names
    for system, of_system in videos.items()
    if name in of_system
  ]
  systems = {
    system: [system == FILMED, detector, file_states([*of_system.values(), *truths.values()])]
    for system, of_system in videos.items()
  }
  description = {
    'videos': {name: shown(str(path)) for name, path in directories.items()},
    'truth': None if truth is None else shown(str(truth)),
  }
  return Protocol(items, systems, description, partial(write_samples, items, tuple(videos)))


def write_samples(items: Sequence[WorkItem], systems: Sequence[str], output: Path) -> dict[str, str]:
  """Writes frames and a video of the first clip that every system has a video of; see `protocols.Protocol`."""
  by_name: dict[str, list[WorkItem]] = {}
  for item in items:
    by_name.setdefault(item.name, []).append(item)
  complete = next((of_clip for of_clip in by_name.values() if len(of_clip) == len(systems)), None)
  if complete is None:
    return {}
  try:
    made = {system: make for item in complete for system, make in item.read().items()}
  except UserError:  # the results say why
    return {}
  candidates = [made[system]() for system in systems]
  if not all(len(candidate.frames) for candidate in candidates):
    return {}
  rows = [
    candidate.frames[np.linspace(0, len(candidate.frames) - 1, PICTURE_COLUMNS).astype(int)] for candidate in candidates
  ]
  pictures.write_png(output / samples.PICTURE, pictures.grid(rows))
  samples.write_side_by_side(output / samples.VIDEO, made, systems, candidates[0].audio)
  return samples.captions(systems, systems)


def detector_maker(detector: str, detector_model: PathLike | None) -> MakeDetect:
  """Returns a function that makes detectors, one for each thread; raises UserError if there is no such detector."""
  make = partial(make_detector, *choose_detector(detector, detector_model))
  make()  # a damaged file is reported now, not for each video
  return make


def file_states(paths: Sequence[Path]) -> str:
  """Returns twelve hexadecimal digits that change when a file does."""
  return key_of(files=[[shown(str(path)), path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(paths)])


def makers(
  system: str,
  path: Path,
  make_detect: MakeDetect,
  image_size: int,
  truth: Path | None = None,
  frames: int | None = None,
) -> dict[str, MakeCandidate]:
  """Reads a video of a system as `candidate_of` does, for a `WorkItem`.

  Raises:
    UserError: see `candidate_of`. Its line does not name the video, so that equal reasons are counted as one.
  """
  try:
    candidate = candidate_of(path, make_detect(), image_size, truth, frames)
  except UserError as error:
    line = str(error).replace(str(path), 'the video')
    raise UserError(line if truth is None else line.replace(str(truth), 'the truth'), *error.options) from error
  candidate = replace(candidate, filmed=system == FILMED)
  return {system: lambda: candidate}


def candidate_of(
  path: Path, detect: Detect, image_size: int, truth: Path | None = None, frames: int | None = None
) -> Candidate:
  """Cuts the longest segment of one person out of a video.

  Args:
    path: the video; its sound is what the lips should fit.
    detect: from `faces.detect.make_detector`.
    image_size: side of the crops, in pixels.
    truth: the same frames as they were filmed, if they are known.
    frames: the number of frames of the video after which nothing is scored; all by default.

  Raises:
    UserError: a video cannot be read, or has no sound or no face in it; or the truth has fewer frames.
  """
  _, segments = find_segments(path, detect, everybody=False)
  if not segments:
    raise UserError('no face was found')
  longest = max((_until(segment, frames) for segment in segments), key=lambda segment: len(segment.indices))
  crops, syncnet_crops = _cut(path, longest, image_size)
  true_crops = None if truth is None else _cut(truth, longest, image_size)[0]
  mel = mel_of(longest.audio) if len(crops) else np.zeros((1, MEL_BANDS), np.float32)
  return Candidate(crops, mel, longest.audio, true_crops, syncnet_crops=syncnet_crops)


def syncnet_crop(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
  """Returns the square that SyncNet's pipeline (Chung and Zisserman's release) cuts for a face.

  Around the middle of the box, it reaches half of the longer side to the top, 1.4 times that to the left and to the
  right, and 1.8 times that to the bottom; in whole pixels, and not smoothed when it shrinks. Heads that tilt are not
  turned, which that pipeline does not do either.

  Args:
    frame: (h, w, 3) uint8.
    box: (4,) left, top, right, bottom in pixels; a roll after them is ignored.

  Returns:
    (224, 224, 3) uint8.
  """
  (x, y), half = (box[:2] + box[2:4]) / 2, (box[2:4] - box[:2]).max() / 2
  border = int(half * (1 + 2 * SYNCNET_MARGIN))
  padded = cv2.copyMakeBorder(frame, *4 * (border,), cv2.BORDER_CONSTANT, value=3 * (SYNCNET_GREY,))
  x, y, reach = x + border, y + border, half * (1 + SYNCNET_MARGIN)
  square = padded[int(y - half) : int(y + half * (1 + 2 * SYNCNET_MARGIN)), int(x - reach) : int(x + reach)]
  return cv2.resize(square, (SYNCNET_SIZE, SYNCNET_SIZE))


def _until(segment: Segment, frames: int | None) -> Segment:
  """The part of a segment that lies within the first frames of its source."""
  if frames is None:
    return segment
  count = int(np.searchsorted(segment.indices, frames))
  return Segment(segment.indices[:count], segment.boxes[:count], segment.audio[: count * SAMPLES_PER_FRAME])


def _cut(path: Path, segment: Segment, image_size: int) -> tuple[np.ndarray, np.ndarray]:
  """The crops of a segment, and SyncNet's, (t, s, s, 3) uint8 each."""
  count = len(segment.indices)
  crops = np.empty((count, image_size, image_size, 3), np.uint8)
  syncnet_crops = np.empty((count, SYNCNET_SIZE, SYNCNET_SIZE, 3), np.uint8)
  done = 0
  for frame, uses in read_segments(path, [segment]):
    for _, k in uses:
      crops[k] = cropping.crop(frame, segment.boxes[k], image_size)
      syncnet_crops[k] = syncnet_crop(frame, segment.boxes[k])
      done += 1
  if done < count:
    raise UserError(f'{path} has fewer frames than what was made of it')
  return crops, syncnet_crops
