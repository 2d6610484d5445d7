"""Wav2Lip's protocol (Prajwal et al., arXiv 2008.10010, section 4): a list says who is to speak whose words."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lpips_jax.cli import UserError
from lpips_jax.dubbing import dub
from lpips_jax.evaluation import videos
from lpips_jax.evaluation.scoring import Entry, Protocol
from lpips_jax.evaluation.systems import FILMED, Make
from lpips_jax.media import video
from lpips_jax.media.audio import HOP, MEL_RATE, WINDOW
from lpips_jax.media.sound import load_speech

SUFFIX = '.mp4'  # of what a list names without one


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
    directory: gets their videos: `NAME-FINGERPRINT/00000.mp4`; those that are there are not made again.
    ready: directories with what others made of the list, by name; the videos are called `00000`, or `0`, and so on.
    detector: `detector` and `detector_model`, of `dub` and of `media.detect.make_detector`.
    image_size: of the crops that are judged, in pixels.
  """
  make_find = videos.detector_maker(**detector)

  def dubbed(name: str, pair: Pair, generator: Callable[..., Any], path: Path) -> dict[str, Make]:
    if not path.is_file():
      _check_length(pair)
      path.parent.mkdir(parents=True, exist_ok=True)
      dub(pair.face, pair.audio, path, generator, progress=False, **detector)
    return videos.makers(name, path, make_find, image_size)

  found = {name: _by_place(pairs, where) for name, where in ready.items()}
  entries = []
  for place, pair in pairs.items():
    for name, generator in generators.items():
      path = directory / f'{name}-{generator.fingerprint}' / f'{place}{SUFFIX}'
      entries.append(Entry(place, (name,), partial(dubbed, name, pair, generator, path)))
    for name, paths in found.items():
      if place in paths:
        entries.append(Entry(place, (name,), partial(videos.makers, name, paths[place], make_find, image_size)))
    entries.append(Entry(place, (FILMED,), partial(videos.makers, FILMED, pair.face, make_find, image_size)))
  files = videos.file_states(sorted({path for pair in pairs.values() for path in pair}))
  rests_on = {name: [files, detector['detector'], generator.fingerprint] for name, generator in generators.items()}
  rests_on |= {
    name: [files, detector['detector'], videos.file_states([*paths.values()])] for name, paths in found.items()
  }
  rests_on[FILMED] = [files, detector['detector']]
  described = {'pairs': len(pairs), 'videos': {name: str(path) for name, path in ready.items()}}
  return Protocol(entries, rests_on, described, partial(videos.write_samples, entries, tuple(rests_on)))


def _check_length(pair: Pair) -> None:
  """Raises UserError for a face that Wav2Lip's protocol leaves out, as it has fewer frames than windows of speech."""
  mel_frames = 1 + len(load_speech(pair.audio)) // HOP
  windows = 1 + (mel_frames - WINDOW) * video.probe(pair.face).rate // MEL_RATE
  if video.count_frames(pair.face) < windows:
    raise UserError('the face is shorter than the words')


def _by_place(places: Iterable[str], directory: Path) -> dict[str, Path]:
  by_number = {int(name): path for name, path in videos.find_videos(directory).items() if name.isdigit()}
  return {place: by_number[int(place)] for place in places if int(place) in by_number}


def _file(root: Path, name: str, path: Path, number: int) -> Path:
  for candidate in (root / name, root / f'{name}{SUFFIX}'):
    if candidate.is_file():
      return candidate
  raise UserError(f'{path} line {number + 1} names {name}, which is not in {root}')
