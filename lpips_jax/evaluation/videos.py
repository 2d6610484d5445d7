"""Takes of ready videos, whoever made them: the face is found, followed and cut out for each of the judges."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lpips_jax.audio.loudness import mel_of
from lpips_jax.audio.mel import MEL_BANDS
from lpips_jax.core.constants import SAMPLES_A_FRAME
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation import samples
from lpips_jax.evaluation.candidates import Candidate
from lpips_jax.evaluation.scoring import Protocol, WorkItem, key_of
from lpips_jax.evaluation.systems import FILMED, MakeCandidate
from lpips_jax.faces import cropping
from lpips_jax.faces.detect import Detect, choose_detector, make_detector
from lpips_jax.faces.segments import Segment, find_segments, read_segments
from lpips_jax.media import pictures
from lpips_jax.models.syncnet import IMAGE_SIZE as SYNCNET_SIZE

SUFFIXES = '.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg', '.mpeg'
MARGIN = 0.4  # SyncNet's pipeline's: by how much of the face's longer side its squares reach out to the sides
OUTSIDE = 110  # the grey that it has beyond the picture
FRAMES_SHOWN = 8
MakeDetect = Callable[[], Detect]


def find_videos(directory: Path) -> dict[str, Path]:
  """Videos below a directory by name: their path in it, without the suffix; raises UserError when there is none."""
  if not directory.is_dir():
    raise UserError(f'{directory} is no directory of videos')
  found = {
    path.relative_to(directory).with_suffix('').as_posix(): path
    for path in sorted(directory.rglob('*'))
    if path.suffix.lower() in SUFFIXES and path.is_file()
  }
  if not found:
    raise UserError(f'{directory} holds no video ({", ".join(SUFFIXES)})')
  return found


def protocol(
  ready: Mapping[str, Path], truth: Path | None, detector: Mapping[str, Any], limit: int | None, image_size: int
) -> Protocol:
  """Directories of ready videos, those of one name being of one clip.

  Args:
    ready: of each system its directory.
    truth: one with what was filmed, if the frames of the others should look like it.
    detector: `detector` and `detector_model`, of which `faces.detect.make_detector` makes a detector.
    limit: how many clips; all by default.
    image_size: of the crops that are judged, in pixels.
  """
  found = {name: find_videos(directory) for name, directory in ready.items()}
  truths = {} if truth is None else find_videos(truth)
  names = sorted({name for videos in found.values() for name in videos})[:limit]
  if truth is not None:
    found[FILMED] = {name: path for name, path in truths.items() if name in names}
  make_find = detector_maker(**detector)
  entries = [
    WorkItem(name, (system,), partial(makers, system, videos[name], make_find, image_size, truths.get(name)))
    for name in names
    for system, videos in found.items()
    if name in videos
  ]
  rests_on = {
    system: [system == FILMED, detector['detector'], file_states([*videos.values(), *truths.values()])]
    for system, videos in found.items()
  }
  described = {'videos': {name: str(path) for name, path in ready.items()}, 'truth': truth and str(truth)}
  return Protocol(entries, rests_on, described, partial(write_samples, entries, tuple(found)))


def write_samples(entries: Sequence[WorkItem], systems: Sequence[str], output: Path) -> dict[str, str]:
  """Shows the first clip that every system has a video of, and frames of it; see `Protocol`."""
  by_name: dict[str, list[WorkItem]] = {}
  for entry in entries:
    by_name.setdefault(entry.name, []).append(entry)
  of_clip = next((these for these in by_name.values() if len(these) == len(systems)), None)
  if of_clip is None:
    return {}
  try:
    read = {system: make for entry in of_clip for system, make in entry.read().items()}
  except UserError:  # the results say why
    return {}
  candidates = [read[system]() for system in systems]
  if not all(len(candidate.frames) for candidate in candidates):
    return {}
  rows = [
    candidate.frames[np.linspace(0, len(candidate.frames) - 1, FRAMES_SHOWN).astype(int)] for candidate in candidates
  ]
  pictures.write_png(output / samples.PICTURE, pictures.grid(rows))
  samples.write_beside(output / samples.VIDEO, read, systems, candidates[0].audio)
  return samples.captions(systems, systems)


def detector_maker(detector: str, detector_model: str | None) -> MakeDetect:
  """What makes detectors, one for each thread; raises UserError if there is none to be had."""
  make = partial(make_detector, *choose_detector(detector, detector_model))
  make()  # a file that is none is told now, not of each video
  return make


def file_states(paths: Sequence[Path]) -> str:
  """Twelve digits that change when a file does."""
  return key_of(files=[[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(paths)])


def makers(
  system: str,
  path: Path,
  make_find: MakeDetect,
  image_size: int,
  truth: Path | None = None,
  frames: int | None = None,
) -> dict[str, MakeCandidate]:
  """Reads a video of a system; what goes wrong is said without its name, so that equal reasons count as one."""
  try:
    candidate = candidate_of(path, make_find(), image_size, truth, frames)
  except UserError as error:
    said = str(error).replace(str(path), 'the video')
    raise UserError(said if truth is None else said.replace(str(truth), 'the truth')) from error
  candidate = replace(candidate, filmed=system == FILMED)
  return {system: lambda: candidate}


def candidate_of(
  path: Path, find: Detect, image_size: int, truth: Path | None = None, frames: int | None = None
) -> Candidate:
  """Cuts the longest stretch of one person out of a video.

  Args:
    path: the video; its sound is what the lips should fit.
    find: from `faces.detect.make_detector`.
    image_size: of the crops, in pixels.
    truth: the same frames as they were filmed, if they are known.
    frames: of the video, after which nothing is judged; all by default.

  Raises:
    UserError: a video cannot be read, has no sound, or nobody's face in it; or the truth has fewer frames.
  """
  _, excerpts = find_segments(path, find, everybody=False)
  if not excerpts:
    raise UserError('no face was found')
  longest = max((_until(excerpt, frames) for excerpt in excerpts), key=lambda excerpt: len(excerpt.indices))
  crops, tracked = _cut(path, longest, image_size)
  true_crops = None if truth is None else _cut(truth, longest, image_size)[0]
  mel = mel_of(longest.audio) if len(crops) else np.zeros((1, MEL_BANDS), np.float32)
  return Candidate(crops, mel, longest.audio, true_crops, tracked=tracked)


def _until(excerpt: Segment, frames: int | None) -> Segment:
  """What an excerpt has of the first frames of its source."""
  if frames is None:
    return excerpt
  count = int(np.searchsorted(excerpt.indices, frames))
  return Segment(excerpt.indices[:count], excerpt.boxes[:count], excerpt.audio[: count * SAMPLES_A_FRAME])


def _cut(path: Path, excerpt: Segment, image_size: int) -> tuple[np.ndarray, np.ndarray]:
  """The crops of an excerpt, and SyncNet's, (t, s, s, 3) uint8 each."""
  count = len(excerpt.indices)
  crops = np.empty((count, image_size, image_size, 3), np.uint8)
  tracked = np.empty((count, SYNCNET_SIZE, SYNCNET_SIZE, 3), np.uint8)
  done = 0
  for frame, places in read_segments(path, [excerpt]):
    for _, k in places:
      crops[k] = cropping.crop(frame, excerpt.boxes[k], image_size)
      tracked[k] = syncnet_crop(frame, excerpt.boxes[k])
      done += 1
  if done < count:
    raise UserError(f'{path} has fewer frames than what was made of it')
  return crops, tracked


def syncnet_crop(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
  """The square that SyncNet's pipeline (Chung and Zisserman's release) cuts for a face.

  Around the middle of the box, it reaches half of the longer side to the top, 1.4 times that to the left and to the
  right, and 1.8 times that to the bottom; in whole pixels, and not smoothed when it shrinks. Heads that tilt are not
  turned, which that pipeline does not do either.

  Args:
    frame: (h, w, 3) uint8.
    box: (4,) left, top, right, bottom in pixels; a roll after them is passed over.

  Returns:
    (224, 224, 3) uint8.
  """
  (x, y), half = (box[:2] + box[2:4]) / 2, (box[2:4] - box[:2]).max() / 2
  around = int(half * (1 + 2 * MARGIN))
  padded = cv2.copyMakeBorder(frame, *4 * (around,), cv2.BORDER_CONSTANT, value=3 * (OUTSIDE,))
  x, y, reach = x + around, y + around, half * (1 + MARGIN)
  square = padded[int(y - half) : int(y + half * (1 + 2 * MARGIN)), int(x - reach) : int(x + reach)]
  return cv2.resize(square, (SYNCNET_SIZE, SYNCNET_SIZE))
